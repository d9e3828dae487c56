"""Campaigns of real jobs under a real daemon that is killed again and again, compared to the byte with what was due."""
