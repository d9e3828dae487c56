"""A run's figures as a Markdown table, as JSON, and as the generated part of docs/performance.md; no I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

from jobworker_bench.figures import Figure, NotRun
from jobworker_bench.units import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BEGIN = "<!-- The rest up to the end mark is written by ./bazelw run //bench -->"
END = "<!-- The end of what the benchmark writes -->"
_HEADER = ("figure", "median", "spread", "beside it", "ratio", "target", "")
_VERDICTS = {None: "", True: "reached", False: "**missed**"}


@final
@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the benchmark has found.

    Attributes:
        about: The machine, the code and the hour, by name.
        quick: Whether it was a short look, whose figures mean little.
        rows: In the order in which they are told.
        errors: One line for each load that failed.
    """

    about: Mapping[str, str]
    quick: bool
    rows: list[Figure | NotRun] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def groups(self) -> list[str]:
        """Returns the groups that have figures, in their order."""
        return list(dict.fromkeys(row.group for row in self.rows if isinstance(row, Figure)))

    def figures(self, group: str) -> list[Figure]:
        """Returns the figures of a group."""
        return [row for row in self.rows if isinstance(row, Figure) and row.group == group]


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Returns rows of cells, the first the header's, as a Markdown table whose columns are aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def table(rows: Iterable[Figure | NotRun]) -> str:
    """Returns what a run has found as a Markdown table."""
    return aligned([_HEADER, *map(cells, rows)])


def cells(row: Figure | NotRun) -> tuple[str, ...]:
    """Returns the cells of one row of the table."""
    if isinstance(row, NotRun):
        return row.name, "not run", "", row.why, "", "", ""
    low, high = row.spread
    beside = "" if row.limit_median is None else f"{row.limit}: {shown(row.limit_median, row.unit)}"
    return (
        row.name,
        shown(row.median, row.unit),
        f"{shown(low, row.unit)} to {shown(high, row.unit)}" if len(row.values) > 1 else "",
        beside,
        "" if row.ratio is None else f"{row.ratio:.2f}",
        "" if row.target is None else row.target.text(row.unit),
        _VERDICTS[row.met],
    )


def as_json(run: Run) -> str:
    """Returns a run as JSON: every value of every round, and what follows from them."""
    document = {
        "about": dict(run.about),
        "quick": run.quick,
        "figures": [_figure(row) for row in run.rows if isinstance(row, Figure)],
        "not_run": [
            {"key": row.key, "group": row.group, "name": row.name, "why": row.why}
            for row in run.rows
            if isinstance(row, NotRun)
        ],
        "errors": run.errors,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "key": figure.key,
        "group": figure.group,
        "name": figure.name,
        "unit": figure.unit.value,
        "values": figure.values,
        "median": figure.median,
        "spread": figure.spread,
        "limit": figure.limit,
        "limits": figure.limits,
        "limit_median": figure.limit_median,
        "ratio": figure.ratio,
        "target": None if figure.target is None else figure.target.text(figure.unit),
        "met": figure.met,
    }


def section(run: Run, plots: str) -> str:
    """Returns a run as a part of a page.

    Args:
        run: What to tell.
        plots: The folder of the plots, relative to the page.
    """
    about = "; ".join(f"{name}: {value}" for name, value in run.about.items())
    parts = [f"One run ({about}):"]
    for group in dict.fromkeys(row.group for row in run.rows):
        parts += [f"### {group}", table(row for row in run.rows if row.group == group)]
        if run.figures(group):
            parts.append(f"![{group}]({plots}/{group}.svg)")
    return "\n\n".join(parts)


def replaced(page: str, section: str) -> str:
    """Returns a page with another text between the two marks.

    Raises:
        ValueError: If the page has not each mark once, in their order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or page.count(BEGIN) + page.count(END) != len((BEGIN, END)):
        raise ValueError("the page has not each of the benchmark's marks once, in their order")
    return f"{before}{BEGIN}\n\n{section}\n\n{END}{after}"
