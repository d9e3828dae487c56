"""Which finished jobs are too old, and when the next one will be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobworker.worker import InvalidArgumentError, KeepFinished

NOW = datetime(2030, 1, 31, tzinfo=UTC)


def test_by_default_ten_thousand_jobs_are_kept_for_a_month() -> None:
    """What the documentation says."""
    assert KeepFinished() == KeepFinished(10_000, timedelta(days=30))


def test_a_job_is_too_old_when_its_age_is_over() -> None:
    """To the microsecond, and the same whoever asks: the job, or the clock."""
    keep = KeepFinished(age=timedelta(days=30))
    assert keep.ended_before(NOW) == datetime(2030, 1, 1, tzinfo=UTC)
    assert keep.due(datetime(2030, 1, 1, tzinfo=UTC)) == NOW


@pytest.mark.parametrize("age", [None, timedelta(days=366 * 3000), timedelta.max])
def test_no_job_is_too_old_for_ever(age: timedelta | None) -> None:
    """Nor for an age that reaches back beyond the calendar."""
    keep = KeepFinished(age=age)
    assert keep.ended_before(NOW) is None


@pytest.mark.parametrize("age", [None, timedelta(days=366 * 9000), timedelta.max])
def test_nothing_is_due_where_nothing_grows_too_old(age: timedelta | None) -> None:
    """Nor where nothing has ended."""
    assert KeepFinished(age=age).due(NOW) is None
    assert KeepFinished().due(None) is None


def test_none_may_be_kept() -> None:
    """Zero is a limit like any other."""
    keep = KeepFinished(0, timedelta())
    assert keep.ended_before(NOW) == keep.due(NOW) == NOW


@pytest.mark.parametrize(("count", "age"), [(-1, None), (None, timedelta(microseconds=-1))])
def test_limits_are_not_negative(count: int | None, age: timedelta | None) -> None:
    """What was meant is anybody's guess."""
    with pytest.raises(InvalidArgumentError, match=r"can.t be"):
        KeepFinished(count, age)
