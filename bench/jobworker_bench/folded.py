"""Sampled stacks, what each function's share of them is, and a flame graph; no I/O."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias, final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Stack: TypeAlias = tuple[str, ...]
"""Frames from the outermost to the innermost."""

# A frame of machine code of which only the library is known.
_NAMELESS = re.compile(r"0x[0-9a-f]+ \((?:.*/)?(.*)\)")
# Where a thread waits for work. What waits for something else, such as a lock of the interpreter's, is not among them.
_WAITS = re.compile(r"(epoll_wait|poll|select|PyThread_acquire_lock_timed|ppoll) \(")
# py-spy names a file by its package's folder.
_OURS = re.compile(r" \((?:daemon|worker|supervisor|v1)/")

_WIDTH, _ROW, _LETTER = 1200, 17, 6.6
_COLOURS = ("#e4813b", "#d9a441", "#c8593a", "#e0b35c", "#cf7048")


def parse(text: str) -> dict[Stack, int]:
    """Returns how often each stack was seen at work, from lines of frames with ; between them, a space and a number.

    Frames of which only the library is known are told by its name, as one if they call each other.

    Raises:
        ValueError: If a line is none of these.
    """
    stacks: Counter[Stack] = Counter()
    for line in text.splitlines():
        frames, _, count = line.rpartition(" ")
        if not frames:
            raise ValueError(f"not a stack and a number: {line!r}")
        named = [_NAMELESS.sub(r"[\1]", frame) for frame in frames.split(";")]
        if not _waits(named):
            stacks[tuple(name for name, _ in groupby(named))] += int(count)
    return dict(stacks)


def _waits(frames: Sequence[str]) -> bool:
    # libc's own frames lie within the call that waits.
    return any(_WAITS.match(frame) for frame in frames[-3:])


@final
@dataclass(frozen=True, slots=True)
class Share:
    """A function's part of the samples.

    Attributes:
        name: The function's, with its file.
        itself: Samples in which it was the innermost.
        total: Samples in which it was anywhere, itself included.
    """

    name: str
    itself: int
    total: int


def shares(stacks: Mapping[Stack, int]) -> list[Share]:
    """Returns all functions, those with most samples of their own first."""
    itself: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for stack, count in stacks.items():
        itself[stack[-1]] += count
        total.update(dict.fromkeys(stack, count))
    return sorted(
        (Share(name, itself[name], total[name]) for name in total),
        key=lambda share: (-share.itself, -share.total, share.name),
    )


def call_table(stacks: Mapping[Stack, int], most: int) -> str:
    """Returns, as Markdown tables, the functions with most samples of their own, and those of ours with most in all.

    Args:
        stacks: How often each was seen.
        most: How many functions each table has at most.
    """
    found, samples = shares(stacks), sum(stacks.values())
    own = [share for share in found if share.itself]
    ours = sorted(filter(_is_ours, found), key=lambda share: (-share.total, share.name))
    return "\n\n".join(
        "\n".join([f"| itself | with callees | {title} |", "|---:|---:|---|", *_rows(listed[:most], samples)])
        for title, listed in (("functions", own), ("functions of jobworker", ours))
    )


def _is_ours(share: Share) -> bool:
    return _OURS.search(share.name) is not None


def _rows(found: Sequence[Share], samples: int) -> list[str]:
    return [
        f"| {share.itself / samples:.1%} | {share.total / samples:.1%} | `{share.name.replace('|', '¦')}` |"
        for share in found
    ]


@final
@dataclass(frozen=True, slots=True)
class _Box:
    """One frame of the graph: where it begins, in samples, how many it has, and how deep it is."""

    name: str
    begin: int
    count: int
    depth: int


def flame_graph(stacks: Mapping[Stack, int], title: str) -> str:
    """Returns an SVG in which each frame is as wide as its share, upon its caller; the names are in its tooltips too.

    Args:
        stacks: How often each was seen.
        title: What stands above it.
    """
    samples = sum(stacks.values())
    boxes = list(_boxes(sorted(stacks.items()), 0, 0))
    height = (max((box.depth for box in boxes), default=0) + 3) * _ROW
    drawn = [_drawn(box, samples, height) for box in boxes if box.count * _WIDTH >= samples]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}">',
            "<style>text { font: 11px monospace; }</style>",
            f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
            f'<text x="4" y="13">{escape(title)}, {samples} samples</text>',
            *drawn,
            "</svg>\n",
        ]
    )


def _boxes(stacks: Sequence[tuple[Stack, int]], begin: int, depth: int) -> Iterator[_Box]:
    """Yields the frames of one depth of stacks that are the same before it, each followed by those upon it."""
    for name, group in groupby(stacks, key=lambda item: item[0][depth] if len(item[0]) > depth else ""):
        below = list(group)
        count = sum(seen for _, seen in below)
        if name:
            yield _Box(name, begin, count, depth)
            yield from _boxes(below, begin, depth + 1)
        begin += count


def _drawn(box: _Box, samples: int, height: int) -> str:
    scale = _WIDTH / samples
    x, width, y = box.begin * scale, box.count * scale, height - (box.depth + 1) * _ROW
    colour = _COLOURS[sum(box.name.encode()) % len(_COLOURS)]
    letters = int(width / _LETTER) - 1
    label = box.name if len(box.name) <= letters else box.name[: max(0, letters - 1)] + "…"
    text = f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(label)}</text>' if letters > 2 else ""  # noqa: PLR2004 - letters
    told = escape(f"{box.name}: {box.count / samples:.1%}")
    return (
        f'<g><title>{told}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_ROW - 1}" fill="{colour}"/>'
        f"{text}</g>"
    )
