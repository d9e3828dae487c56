"""Sizes and ages as people type them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobworker.daemon.amounts import parse_age, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1", 1),
        ("65536", 65_536),
        ("100B", 100),
        ("64K", 1 << 16),
        ("64k", 1 << 16),
        ("64KiB", 1 << 16),
        ("64KB", 1 << 16),
        ("3M", 3 << 20),
        ("1G", 1 << 30),
        ("1GiB", 1 << 30),
        ("2T", 2 << 40),
        ("0T", 0),
        (str(2**63 - 1), 2**63 - 1),
    ],
)
def test_sizes(text: str, size: int) -> None:
    """Digits are bytes, and the units powers of 1024, in either case."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "K", "-1", "+1", "1.5G", "1P", "1 G", "1Ki", " 1", "1K\n", "٣", "1e3", "0x10"])
def test_no_sizes(text: str) -> None:
    """What might be meant otherwise is refused."""
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)


@pytest.mark.parametrize("text", [str(2**63), "9999999999999999999", "8388608T"])
def test_sizes_beyond_files(text: str) -> None:
    """A size that no file can have is no limit that anybody wants."""
    with pytest.raises(ValueError, match="more than a file can have"):
        parse_size(text)


@pytest.mark.parametrize("text", ["1" * 20, "1" * 10_000])
def test_endless_sizes(text: str) -> None:
    """Not even Python's own limit on digits is reached."""
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("90s", timedelta(seconds=90)),
        ("45m", timedelta(minutes=45)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("30D", timedelta(days=30)),
        ("0s", timedelta()),
        ("36500d", timedelta(days=36_500)),
    ],
)
def test_ages(text: str, age: timedelta) -> None:
    """Digits and one unit, in either case."""
    assert parse_age(text) == age


@pytest.mark.parametrize("text", ["", "d", "30", "-1d", "1.5h", "1w", "1 d", "1d12h", "1d\n", "٣d"])
def test_no_ages(text: str) -> None:
    """What might be meant otherwise is refused."""
    with pytest.raises(ValueError, match="is no age"):
        parse_age(text)


@pytest.mark.parametrize("text", ["36501d", "9999999999d"])
def test_ages_beyond_the_calendar(text: str) -> None:
    """An age that could not be told as a time is refused rather than an error later."""
    with pytest.raises(ValueError, match="more than a hundred years"):
        parse_age(text)
