"""Token buckets: what they let through in any time, and what they say of the wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobworker.daemon.token_buckets import MOST_FULL, TokenBuckets


def test_burst_then_rate() -> None:
    """A full bucket gives its burst at once, then a token at a time, and says how long the next one takes."""
    buckets = TokenBuckets(2.0, 3)
    assert [buckets.take("a", 10.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert buckets.take("a", 10.0) == pytest.approx(0.5)
    assert buckets.take("a", 10.2) == pytest.approx(0.3)
    assert buckets.take("a", 10.5) == 0.0
    assert buckets.take("a", 10.5) == pytest.approx(0.5)


def test_each_has_its_own() -> None:
    """What one has used up is there for another."""
    buckets = TokenBuckets(1.0, 1)
    assert buckets.take("a", 0.0) == 0.0
    assert buckets.take("a", 0.0) > 0.0
    assert buckets.take("b", 0.0) == 0.0


def test_full_buckets_cost_nothing() -> None:
    """Who comes once is forgotten; who waits isn't."""
    buckets = TokenBuckets(1.0, 1)
    for number in range(MOST_FULL):
        buckets.take(str(number), 0.0)
    buckets.take("waits", 1.5)
    assert repr(buckets) == "<TokenBuckets 1>"
    assert buckets.take("waits", 2.0) == pytest.approx(0.5)


@given(
    rate=st.floats(0.1, 1000.0),
    burst=st.integers(1, 20),
    pauses=st.lists(st.floats(0.0, 5.0), max_size=100),
    start=st.floats(0.0, 1e6),
)
def test_never_more_than_burst_and_rate(rate: float, burst: int, pauses: list[float], start: float) -> None:
    """In any stretch of time no more than the burst and what the rate gives comes through; the told wait is enough."""
    buckets, now, taken = TokenBuckets(rate, burst), start, list[float]()
    for pause in pauses:
        now += pause
        wait = buckets.take("a", now)
        if wait:
            now += wait
            assert buckets.take("a", now) == 0.0
        taken.append(now)
    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            # Some more, as times add up to within a fraction.
            assert last - first + 1 <= burst + rate * (taken[last] - begin + 1e-5) + 1e-3
