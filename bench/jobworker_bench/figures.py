"""Figures and how they are written; no I/O."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report.

    Attributes:
        name: What was measured.
        value: What came out, with its unit.
        beside: The limit or the peer measured in the same run, with its unit; empty if there is none.
        ratio: The value as a multiple of what it stands beside, if that makes sense.
        target: What was wanted, in words; empty if nothing was.
        met: Whether it was reached; None if nothing was wanted.
    """

    name: str
    value: str
    beside: str = ""
    ratio: float | None = None
    target: str = ""
    met: bool | None = None

    def row(self) -> tuple[str, ...]:
        """Returns the cells of this figure's line."""
        verdict = {None: "", True: "reached", False: "missed"}[self.met]
        return (
            self.name,
            self.value,
            self.beside,
            "" if self.ratio is None else f"{self.ratio:.2f}",
            self.target,
            verdict,
        )


HEADER = ("figure", "value", "beside it", "ratio", "target", "")


def table(figures: Sequence[Figure]) -> str:
    """Returns figures as a Markdown table whose columns are aligned."""
    rows = [HEADER, *(figure.row() for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def percentile(values: Sequence[float], percent: int) -> float:
    """Returns a percentile, 1 to 99, of at least two values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def milliseconds(seconds: float) -> str:
    """Returns a duration for people."""
    return f"{seconds * 1000:.2f} ms"


def mebibytes(count: float) -> str:
    """Returns a size for people."""
    return f"{count / (1 << 20):.1f} MiB"


def megabytes_per_second(count: float) -> str:
    """Returns a rate in bytes a second for people, in 10^6 bytes."""
    return f"{count / 1e6:.0f} MB/s"
