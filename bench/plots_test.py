"""That a plot shows its figures in proportion, whatever their names hold."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from jobworker_bench.figures import AtLeast, Below, Figure
from jobworker_bench.plots import svg
from jobworker_bench.units import Unit

SVG = "{http://www.w3.org/2000/svg}"
RATE = Figure("a", "jobs", "<8> & more", Unit.PER_SECOND, (500.0, 700.0), "C", (1200.0, 1200.0), AtLeast(0.75))
TIME = Figure("b", "jobs", "time", Unit.SECONDS, (1.0,), target=Below(4.0))
LOSS = Figure("c", "jobs", "growth", Unit.BYTES, (-5.0,))


def parsed(*figures: Figure) -> ET.Element:
    """Returns a plot's root: it must be well-formed."""
    return ET.fromstring(svg("title", figures))  # noqa: S314 - our own


def widths(root: ET.Element, kind: str) -> list[float]:
    """Returns how wide the bars of a kind are."""
    return [float(bar.attrib["width"]) for bar in root.iter(f"{SVG}rect") if bar.get("class") == kind]


def test_names_and_values_can_be_read() -> None:
    """Marks that XML would take for its own too."""
    texts = [text.text for text in parsed(RATE).iter(f"{SVG}text")]
    assert texts == ["<8> & more", "600/s", "C: 1,200/s"]


def test_bars_are_in_proportion_to_what_they_stand_for() -> None:
    """A bar half as wide as its limit's is half of it."""
    root = parsed(RATE)
    assert widths(root, "value") == [pytest.approx(widths(root, "limit")[0] / 2, rel=0.01)]


def test_the_target_stands_where_it_would_just_be_met() -> None:
    """At three quarters of the limit here."""
    root = parsed(RATE)
    (line,) = root.iter(f"{SVG}line")
    (bar, limit) = root.iter(f"{SVG}rect")
    assert float(line.attrib["x1"]) - float(bar.attrib["x"]) == pytest.approx(
        0.75 * float(limit.attrib["width"]), abs=0.1
    )


def test_figures_beside_one_limit_share_a_scale() -> None:
    """So that they can be compared with each other too."""
    half = replace(RATE, key="d", values=(300.0, 300.0))
    wide, narrow = widths(parsed(RATE, half), "value")
    assert narrow == pytest.approx(wide / 2, abs=0.1)


def test_a_figure_that_stands_alone_has_a_scale_of_its_own() -> None:
    """One second beside 1,200/s would not be seen otherwise; its own target has to find room."""
    root = parsed(RATE, TIME)
    assert widths(root, "value")[1] == pytest.approx(widths(root, "limit")[0] / 4, abs=0.1)


def test_what_is_below_zero_has_no_width() -> None:
    """A negative one is no SVG."""
    assert widths(parsed(LOSS), "value") == [0]


def test_the_same_figures_give_the_same_file() -> None:
    """Or each run would change what nobody measured anew."""
    assert svg("title", [RATE, TIME]) == svg("title", [RATE, TIME])
