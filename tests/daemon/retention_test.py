"""How much of jobs is kept, as people type it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.retention import parse_keep_finished, parse_log_limit
from jobworker.worker import KeepFinished


@pytest.mark.parametrize(("text", "limit"), [("0", 0), ("64K", 1 << 16), ("65536", 1 << 16), ("1G", 1 << 30)])
def test_log_limit(text: str, limit: int) -> None:
    """A size, or 0 for no limit."""
    assert parse_log_limit(text) == limit


@pytest.mark.parametrize("text", ["1", "63K", "65535", "none", "-1", "9999999T"])
def test_wrong_log_limit(text: str) -> None:
    """What is no size, or so small that it could not be kept, is refused with what could be given."""
    with pytest.raises(ConfigurationError, match=r"^--log-limit: .* give at least 64K, or 0 for no limit$"):
        parse_log_limit(text)


@pytest.mark.parametrize(
    ("text", "count", "age"),
    [
        ("10000,30d", 10_000, timedelta(days=30)),
        ("12h,5", 5, timedelta(hours=12)),
        ("5, 12h", 5, timedelta(hours=12)),
        ("5", 5, None),
        ("90s", None, timedelta(seconds=90)),
        ("all", None, None),
        ("ALL", None, None),
    ],
)
def test_keep_finished(text: str, count: int | None, age: timedelta | None) -> None:
    """A count, an age, or both in either order; what isn't named has no limit."""
    assert parse_keep_finished(text) == KeepFinished(count, age)


@pytest.mark.parametrize("text", ["", ",", "5,", "some", "5,6", "1d,2h", "5,1d,6", "-1", "0", "0d", "5,0s", "all,5"])
def test_wrong_keep_finished(text: str) -> None:
    """What contradicts itself, says nothing, or would keep nothing is refused with what could be given."""
    with pytest.raises(ConfigurationError, match=r"^--keep-finished: .* give a count such as 500, .* or all$"):
        parse_keep_finished(text)
