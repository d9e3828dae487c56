"""Decides what is a number that an option takes, stricter than Python is; no I/O."""

from __future__ import annotations

from jobworker.cli.errors import WrongUsageError

# What the API can carry: 64 bits with a sign, and the longest google.protobuf.Duration.
_MOST = 2**63 - 1
_MOST_SECONDS = 315_576_000_000
_MOST_DIGITS = 19


def whole(option: str, text: str, unit: str) -> int:
    """Returns a whole number from 0 that an option was given.

    Args:
        option: the option's name.
        text: what was typed.
        unit: what is counted.

    Raises:
        WrongUsageError: it is no such number, or greater than the API can carry.
    """
    digits = text.lstrip("0") or "0"
    # int() refuses thousands of digits with an error of its own.
    if not _is_digits(text) or len(digits) > _MOST_DIGITS or int(digits) > _MOST:
        raise WrongUsageError(f"{option}={text} is not a number of {unit}; give a whole one from 0 to {_MOST}")
    return int(digits)


def seconds(option: str, text: str) -> float:
    """Returns a number of seconds from 0 that an option was given, with or without decimals.

    Raises:
        WrongUsageError: it is no such number, or greater than the API can carry.
    """
    # float() takes nan, 1e3 and 1_0 too.
    if not _is_digits(text.replace(".", "", 1)) or float(text) > _MOST_SECONDS:
        raise WrongUsageError(
            f"{option}={text} is not a number of seconds; give one from 0 to {_MOST_SECONDS}, such as 10 or 0.5"
        )
    return float(text)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
