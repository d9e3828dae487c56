"""What is told and what is counted: nothing is lost, and nothing grows without bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobworker.daemon.throttle import Summary, Throttle


def test_the_first_few_are_told_and_the_others_counted() -> None:
    """Each kind has a window of its own, after which it is told again."""
    throttle = Throttle[str](burst=2, window=10)
    assert [throttle.admit("a", now) for now in (0, 1, 2, 3)] == [True, True, False, False]
    assert throttle.admit("b", 4)
    assert throttle.next_due() == 10
    assert throttle.due(9.9) == []
    assert throttle.due(10) == [Summary("a", 2)]
    assert throttle.next_due() is None
    assert throttle.admit("a", 10)


def test_a_window_that_ended_unasked_is_not_forgotten() -> None:
    """A new window of the same kind does not take the old one's count with it."""
    throttle = Throttle[str](burst=1, window=10)
    assert [throttle.admit("a", now) for now in (0, 1, 20)] == [True, False, True]
    assert throttle.next_due() == 0
    assert throttle.due(20) == [Summary("a", 1)]


def test_kinds_are_bounded() -> None:
    """Who makes up a new kind each time is told of as one."""
    throttle = Throttle[int](burst=1, window=10, most_keys=3)
    assert [throttle.admit(key, 0) for key in range(6)] == [True, True, True, True, False, False]
    assert throttle.rest() == [Summary(None, 2)]


@given(st.lists(st.tuples(st.integers(0, 8), st.floats(0, 5)), max_size=200), st.integers(1, 4), st.integers(1, 5))
def test_each_is_told_or_counted_once(events: list[tuple[int, float]], burst: int, most_keys: int) -> None:
    """However they come: those told and those counted are all, and what is told is bounded."""
    throttle = Throttle[int](burst=burst, window=3, most_keys=most_keys)
    now = told = counted = 0.0
    for key, later in events:
        now += later
        told += throttle.admit(key, now)
        counted += sum(summary.count for summary in throttle.due(now))
    counted += sum(summary.count for summary in throttle.rest())
    assert told + counted == len(events)
    assert told <= (most_keys + 1) * burst * (now // 3 + 1)
