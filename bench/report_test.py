"""That table, JSON and page say what was measured."""

from __future__ import annotations

import json

import pytest

from jobworker_bench.figures import AtLeast, Figure, NotRun
from jobworker_bench.report import BEGIN, END, Run, as_json, replaced, section, table
from jobworker_bench.units import Unit

RATE = Figure(
    "jobs_8", "jobs", "jobs/s, 8 clients", Unit.PER_SECOND, (500.0, 700.0), "C", (1000.0, 1000.0), AtLeast(0.5)
)
SIZE = Figure("idle", "memory", "idle", Unit.BYTES, (float(3 << 20),))
ABSENT = NotRun("peer", "peers", "pueue", "pueue is not installed")
PAGE = f"# Performance\n\nBefore.\n\n{BEGIN}\n\nold\n\n{END}\n\nAfter.\n"


def run() -> Run:
    """Returns a run that has met all there is."""
    return Run({"system": "Linux"}, quick=True, rows=[RATE, SIZE, ABSENT], errors=["stop: died"])


def test_the_table_has_each_row_with_its_limit_and_verdict() -> None:
    """Aligned, so that it can be read as it is too."""
    times = "\N{MULTIPLICATION SIGN}"
    assert table(run().rows).splitlines() == [
        "| figure            | median  | spread         | beside it              | ratio | target  |         |",
        "|-------------------|---------|----------------|------------------------|-------|---------|---------|",
        f"| jobs/s, 8 clients | 600/s   | 500/s to 700/s | C: 1,000/s             | 0.60  | ≥ 0.5 {times} | reached |",
        "| idle              | 3.0 MiB |                |                        |       |         |         |",
        "| pueue             | not run |                | pueue is not installed |       |         |         |",
    ]


def test_the_json_has_every_value_and_what_follows_from_them() -> None:
    """So that another program can judge for itself."""
    document = json.loads(as_json(run()))
    rate, size = document["figures"]
    assert rate["values"] == [500, 700]
    assert rate["limits"] == [1000, 1000]
    assert (rate["median"], rate["spread"], rate["limit_median"], rate["ratio"]) == (600, [500, 700], 1000, 0.6)
    assert (rate["key"], rate["group"], rate["unit"], rate["met"]) == ("jobs_8", "jobs", "1/s", True)
    assert (size["limits"], size["ratio"], size["target"], size["met"]) == ([], None, None, None)
    assert [absent["why"] for absent in document["not_run"]] == ["pueue is not installed"]
    assert (document["about"], document["quick"], document["errors"]) == ({"system": "Linux"}, True, ["stop: died"])


def test_only_what_is_between_the_marks_changes() -> None:
    """What people wrote around it stays."""
    page = replaced(PAGE, "new")
    assert page == PAGE.replace("old", "new")
    assert replaced(page, "new") == page


@pytest.mark.parametrize("page", ["", BEGIN, f"{END}{BEGIN}", PAGE + BEGIN, PAGE + END])
def test_a_page_without_its_marks_is_left_alone(page: str) -> None:
    """Rather than to write over what people wrote."""
    with pytest.raises(ValueError, match="marks"):
        replaced(page, "new")


def test_the_section_shows_each_group_with_its_plot() -> None:
    """A group in which nothing could be run has none to show, but its table."""
    text = section(run(), "performance")
    assert text.split("\n\n") == [
        "One run (system: Linux):",
        *("### jobs", table([RATE]), "![jobs](performance/jobs.svg)"),
        *("### memory", table([SIZE]), "![memory](performance/memory.svg)"),
        *("### peers", table([ABSENT])),
    ]
