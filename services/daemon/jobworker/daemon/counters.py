"""What the daemon counts: how often each thing has happened since it began; no I/O."""

from __future__ import annotations

import re
from typing import final

MOST_SERIES = 256
"""How many series there may be; what would be a further one is counted in `OVERFLOW`."""

OVERFLOW = "jobworker_uncounted_total"
"""The series of what found no place among the others; always 0, unless a label has too many values."""

_NAME = re.compile(r"[a-z][a-z0-9_]*_total")
_LABEL = re.compile(r"([a-z][a-z0-9_]*)=([A-Za-z0-9_.-]+)")


@final
class Counters:
    """Counters by name and label, as OpenMetrics has them; they belong to one event loop and are not thread-safe.

    Names and labels are the daemon's own words. Nothing that a peer chooses may be one: it could make any number of
    them.

    Example:
        >>> counters = Counters()
        >>> counters.add("jobworker_refused_total", "limit=followers")
        >>> counters.snapshot()
        {'jobworker_refused_total{limit="followers"}': 1}
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def __repr__(self) -> str:
        return f"<Counters series={len(self._counts)}>"

    def add(self, name: str, label: str = "") -> None:
        """Counts one more.

        Args:
            name: What is counted, such as `jobworker_refused_total`.
            label: Which kind of it, such as `limit=followers`; empty if there is but one.

        Raises:
            ValueError: If the name or the label has not that form; a bug of ours.
        """
        series = (name, label)
        if series not in self._counts:
            if not _NAME.fullmatch(name) or (label and not _LABEL.fullmatch(label)):
                raise ValueError(f"{name!r} with {label!r} is no counter such as a_thing_total with kind=value")
            if len(self._counts) >= MOST_SERIES:
                series = (OVERFLOW, "")
        self._counts[series] = self._counts.get(series, 0) + 1

    def snapshot(self) -> dict[str, int]:
        """Returns all counts by series, such as `jobworker_refused_total{limit="followers"}`, sorted by name."""
        return {name + _LABEL.sub(r'{\1="\2"}', label): count for (name, label), count in sorted(self._counts.items())}

    def fields(self) -> dict[str, int]:
        """Returns all counts as fields of a line of the log, such as `jobworker_refused_total.limit.followers`."""
        return {name + _LABEL.sub(r".\1.\2", label): count for (name, label), count in sorted(self._counts.items())}
