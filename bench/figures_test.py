"""That what is told of figures follows from the values of their rounds."""

from __future__ import annotations

import pytest

from jobworker_bench.figures import AtLeast, AtMost, Below, Figure, Target, percentile
from jobworker_bench.units import Unit, shown


def figure(
    values: tuple[float, ...], limits: tuple[float, ...] = (), target: Target | None = None, unit: Unit = Unit.SECONDS
) -> Figure:
    """Returns a figure of which nothing else matters."""
    return Figure("key", "group", "name", unit, values, "limit" if limits else "", limits, target)


def test_the_median_is_that_of_the_rounds() -> None:
    """One odd round must not move it."""
    assert figure((5.0, 1.0, 100.0)).median == 5


def test_few_rounds_show_their_ends() -> None:
    """Quartiles of fewer than five would be made up."""
    assert figure((4.0, 1.0, 2.0, 3.0)).spread == (1, 4)


def test_many_rounds_show_their_quartiles() -> None:
    """One odd round of many must not widen it."""
    assert figure((1.0, 2.0, 3.0, 4.0, 100.0)).spread == (2, 4)


def test_the_ratio_is_taken_round_by_round() -> None:
    """A machine that was slow in one round was so for the limit too: the medians' ratio, 2, would mix rounds."""
    assert figure((10.0, 2.0, 3.0), (10.0, 1.0, 1.0)).ratio == 2
    assert figure((10.0, 4.0, 1.0), (1.0, 2.0, 5.0)).ratio == 2


def test_without_a_limit_there_is_no_ratio() -> None:
    """Nor a limit's median."""
    alone = figure((1.0,))
    assert (alone.ratio, alone.limit_median, alone.met) == (None, None, None)


@pytest.mark.parametrize(
    ("values", "limits", "target", "met"),
    [
        ((50.0,), (100.0,), AtLeast(0.5), True),
        ((49.0,), (100.0,), AtLeast(0.5), False),
        ((13.0,), (10.0,), AtMost(1.3), True),
        ((14.0,), (10.0,), AtMost(1.3), False),
        ((2.1,), (1.0,), AtMost(2, plus=0.1), True),
        ((2.2,), (1.0,), AtMost(2, plus=0.1), False),
        ((3.0,), (), Below(3.0), True),
        ((3.1,), (), Below(3.0), False),
        ((3.1,), (100.0,), Below(3.0), False),
        ((1.0, 5.0, 1.0), (), Below(3.0), True),
        ((1.0, 5.0, 5.0), (1.0, 1.0, 5.0), AtMost(1.0), True),
    ],
)
def test_a_target_is_judged_by_the_median_round(
    values: tuple[float, ...], limits: tuple[float, ...], target: Target, *, met: bool
) -> None:
    """At the border it is met; most rounds decide."""
    assert figure(values, limits, target).met is met


@pytest.mark.parametrize(
    ("values", "limits", "limit", "target"),
    [
        ((), (), "", None),
        ((1.0, 2.0), (1.0,), "limit", None),
        ((1.0,), (1.0,), "", None),
        ((1.0,), (), "limit", None),
        ((1.0,), (), "", AtLeast(1)),
        ((1.0,), (), "", AtMost(1)),
    ],
)
def test_a_figure_that_cannot_be_told_is_refused(
    values: tuple[float, ...], limits: tuple[float, ...], limit: str, target: Target | None
) -> None:
    """A load that forgot to measure its limit must not pass for one that has none."""
    with pytest.raises(ValueError, match="key"):
        Figure("key", "group", "name", Unit.SECONDS, values, limit, limits, target)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (AtLeast(0.5), "≥ 0.5 \N{MULTIPLICATION SIGN}"),
        (AtMost(1.3), "≤ 1.3 \N{MULTIPLICATION SIGN}"),
        (AtMost(2, plus=0.1), "≤ 2 \N{MULTIPLICATION SIGN} + 100.00 ms"),
        (Below(0.003), "≤ 3.00 ms"),
    ],
)
def test_targets_are_written_as_people_write_them(target: Target, text: str) -> None:
    """In the figure's unit."""
    assert target.text(Unit.SECONDS) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234.5, Unit.PER_SECOND, "1,234/s"),
        (1.25, Unit.SECONDS, "1.25 s"),
        (0.0125, Unit.SECONDS, "12.50 ms"),
        (0.00012, Unit.SECONDS, "120 µs"),
        (-0.002, Unit.SECONDS, "-2.00 ms"),
        (100, Unit.BYTES, "100 bytes"),
        (3 << 19, Unit.BYTES, "1.5 MiB"),
        (-2048, Unit.BYTES, "-2.0 KiB"),
        (1.5e9, Unit.BYTES_PER_SECOND, "1,500 MB/s"),
        (0.0005, Unit.CORES, "0.050 % of a core"),
        (1.5, Unit.RATIO, "1.50 \N{MULTIPLICATION SIGN}"),
    ],
)
def test_values_are_written_in_a_unit_that_fits(value: float, unit: Unit, text: str) -> None:
    """Neither 0.00 ms nor 12,500,000 bytes."""
    assert shown(value, unit) == text


def test_percentiles_lie_between_the_values() -> None:
    """They are interpolated, and never beyond the largest."""
    assert percentile([1.0, 2.0, 3.0], 50) == 2
    assert 2.9 < percentile([1.0, 2.0, 3.0], 99) <= 3
