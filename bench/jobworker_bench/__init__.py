"""Measures the built programs, each figure beside its limit in the same run."""
