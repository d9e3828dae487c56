"""Figures as a small plot: a bar each, with whiskers, its limit below it, and a line where the target is; no I/O.

The SVG is written by hand and depends on the figures alone. It has no background; its colours suit white and dark ones.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from jobworker_bench.figures import spread
from jobworker_bench.units import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobworker_bench.figures import Figure

_NAMES, _BARS, _TEXTS = 300, 340, 200
_ROW, _TOP = 40, 8
_STYLE = """<style>
text { font: 12px sans-serif; fill: #6e7781; }
.value { fill: #2f81f7; }
.limit { fill: #8c959f; }
.whisker { stroke: #6e7781; fill: none; }
.target { stroke: #d1242f; stroke-width: 2; }
@media (prefers-color-scheme: dark) { text { fill: #adbac7; } .whisker { stroke: #adbac7; } }
</style>"""


def svg(title: str, figures: Sequence[Figure]) -> str:
    """Returns figures as an SVG image; those that stand beside one and the same limit share a scale.

    Args:
        title: Read out in place of the image.
        figures: At least one.
    """
    widest: dict[object, float] = {}
    for figure in figures:
        widest[_scale(figure)] = max(widest.get(_scale(figure), 0.0), *_ends(figure))
    width, height = _NAMES + _BARS + _TEXTS, 2 * _TOP + _ROW * len(figures)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        _STYLE,
    ]
    for number, figure in enumerate(figures):
        lines += _row(figure, _TOP + number * _ROW, _BARS / (widest[_scale(figure)] or 1))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _scale(figure: Figure) -> object:
    """Returns what figures on one scale have in common: nothing else can be compared with one that stands alone."""
    return (figure.unit, figure.limits) if figure.limits else figure.key


def _line(figure: Figure) -> float | None:
    """Returns the value that would just meet the target."""
    if figure.target is None:
        return None
    return figure.target.line(figure.limit_median or 0)


def _ends(figure: Figure) -> tuple[float, ...]:
    """Returns the values that have to find room."""
    limits = spread(figure.limits) if figure.limits else ()
    return (figure.median, *figure.spread, *limits, _line(figure) or 0.0)


def _row(figure: Figure, top: int, scale: float) -> list[str]:
    name, text = escape(figure.name), escape(shown(figure.median, figure.unit))
    lines = [
        f'<text x="{_NAMES - 8}" y="{top + 15}" text-anchor="end">{name}</text>',
        *_bar("value", figure.median, figure.spread, top + 4, scale),
        f'<text x="{_NAMES + _BARS + 8}" y="{top + 15}">{text}</text>',
    ]
    if figure.limit_median is not None:
        beside = escape(f"{figure.limit}: {shown(figure.limit_median, figure.unit)}")
        lines += _bar("limit", figure.limit_median, spread(figure.limits), top + 20, scale)
        lines.append(f'<text x="{_NAMES - 8}" y="{top + 31}" text-anchor="end">{beside}</text>')
    line = _line(figure)
    if line is not None:
        x = _NAMES + line * scale
        lines.append(f'<line class="target" x1="{x:.1f}" x2="{x:.1f}" y1="{top + 1}" y2="{top + 20}"/>')
    return lines


def _bar(kind: str, value: float, ends: tuple[float, float], top: int, scale: float) -> list[str]:
    low, high = (_NAMES + max(0.0, end) * scale for end in ends)
    middle = top + 6
    return [
        f'<rect class="{kind}" x="{_NAMES}" y="{top}" width="{max(0.0, value) * scale:.1f}" height="12"/>',
        f'<path class="whisker" d="M{low:.1f} {middle - 3}v6m0 -3H{high:.1f}m0 -3v6"/>',
    ]
