"""Sizes and ages as people type them; no I/O."""

from __future__ import annotations

import re
from datetime import timedelta

# What the kernel can say of a file's size.
_MOST_BYTES = (1 << 63) - 1
# So that a time that long ago is one that can be told.
_MOST_SECONDS = 100 * 365 * 24 * 60 * 60

_SIZE = re.compile(r"([0-9]{1,19})(?:([KMGT])(?:i?B)?|B)?", re.IGNORECASE)
_AGE = re.compile(r"([0-9]{1,10})([smhd])", re.IGNORECASE)
_SHIFTS = {"K": 10, "M": 20, "G": 30, "T": 40}
_SECONDS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}


def parse_size(text: str) -> int:
    """Returns a number of bytes: digits, then perhaps K, M, G or T for the powers of 1024, as K, KiB or KB.

    Raises:
        ValueError: If it is no size, or more than a file can have; the fault of whoever typed it.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no size such as 65536, 512M or 1G")
    size = int(match[1]) << _SHIFTS.get((match[2] or "").upper(), 0)
    if size > _MOST_BYTES:
        raise ValueError(f"{text!r} is more than a file can have")
    return size


def parse_age(text: str) -> timedelta:
    """Returns a length of time: digits, then s, m, h or d.

    Raises:
        ValueError: If it is none, or more than a hundred years; the fault of whoever typed it.
    """
    match = _AGE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no age such as 30d, 12h, 45m or 90s")
    seconds = int(match[1]) * _SECONDS[match[2].lower()]
    if seconds > _MOST_SECONDS:
        raise ValueError(f"{text!r} is more than a hundred years")
    return timedelta(seconds=seconds)
