"""Runs the same scenarios through the clients of all languages against the real daemon."""
