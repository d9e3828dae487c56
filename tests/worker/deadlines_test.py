"""What is due by the clock."""

from __future__ import annotations

import errno
import time

import pytest

from jobworker.supervisor.deadlines import Deadlines, soonest
from jobworker.supervisor.leader import Leader


def leader_of(number: int) -> Leader:
    """Returns the first process of one of several jobs."""
    return Leader(f"job-{number}", number, 1, "", ("out", "err"))


def test_the_soonest_is_waited_for() -> None:
    """Whatever else is due later, or not at all."""
    assert soonest(2.0, None, 0.0, 1.0) == 0.0
    assert soonest(None, 3.0) == 3.0
    assert soonest(None, None) is None


def test_nothing_is_due_at_first() -> None:
    """The supervisor waits for events alone."""
    deadlines = Deadlines()
    assert deadlines.timeout() is None
    assert deadlines.take_graced() == []
    assert not deadlines.take_retry()


def test_grace_periods_are_over_in_their_turn() -> None:
    """Each is told once, and the next one is waited for."""
    deadlines, now = Deadlines(), time.monotonic()
    over, going_on = leader_of(1), leader_of(2)
    deadlines.begin_grace(over, now)
    deadlines.begin_grace(going_on, now + 1000)
    assert deadlines.timeout() == 0
    assert deadlines.take_graced() == [over]
    assert over.deadline is None
    assert 0 < (deadlines.timeout() or 0) <= 1000
    deadlines.end_grace(going_on)
    assert deadlines.timeout() is None


def test_it_is_tried_again_where_descriptors_had_run_out() -> None:
    """Soon, and not before."""
    deadlines = Deadlines()
    deadlines.try_again(OSError(errno.EMFILE, "Too many open files"))
    assert 0 < (deadlines.timeout() or 0) <= 1
    assert not deadlines.take_retry()


def test_other_errors_are_bugs() -> None:
    """They are raised, not tried for ever."""
    deadlines = Deadlines()
    with pytest.raises(PermissionError):
        deadlines.try_again(PermissionError(errno.EPERM, "Operation not permitted"))
    assert deadlines.timeout() is None
