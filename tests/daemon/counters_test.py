"""The counters: their names, and that they stay few."""

from __future__ import annotations

import pytest

from jobworker.daemon.counters import MOST_SERIES, OVERFLOW, Counters


def test_counts_by_name_and_label() -> None:
    """Each label of a name is a series of its own, under the name that OpenMetrics gives it."""
    counters = Counters()
    counters.add("b_total", "limit=followers")
    counters.add("b_total", "limit=starts")
    counters.add("b_total", "limit=followers")
    counters.add("a_total")
    assert counters.snapshot() == {"a_total": 1, 'b_total{limit="followers"}': 2, 'b_total{limit="starts"}': 1}
    assert next(iter(counters.snapshot())) == "a_total"


def test_fields_of_the_log() -> None:
    """A field's name has neither quotes nor braces, which would need quotes in a line of logfmt."""
    counters = Counters()
    counters.add("a_total", "code=PERMISSION_DENIED")
    counters.add("a_total")
    assert counters.fields() == {"a_total": 1, "a_total.code.PERMISSION_DENIED": 1}


@pytest.mark.parametrize(
    ("name", "label"),
    [("a", ""), ("A_total", ""), ("a_total", "limit"), ("a_total", 'limit="x"'), ("a_total", "a=b=c")],
)
def test_only_counters_names(name: str, label: str) -> None:
    """A name that no tool could read is a bug, and told at once."""
    with pytest.raises(ValueError, match="is no counter"):
        Counters().add(name, label)


def test_series_are_bounded() -> None:
    """A label with too many values costs bounded memory, and doesn't hide that something was counted."""
    counters = Counters()
    for number in range(MOST_SERIES + 3):
        counters.add("a_total", f"number={number}")
    counters.add("a_total", "number=0")
    snapshot = counters.snapshot()
    assert len(snapshot) == MOST_SERIES + 1
    assert snapshot[OVERFLOW] == 3
    assert snapshot['a_total{number="0"}'] == 2
