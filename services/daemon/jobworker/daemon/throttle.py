"""Tells the first few of what happens often, and counts the rest: bounds what refused calls have written; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, final

if TYPE_CHECKING:
    from collections.abc import Hashable

_Key = TypeVar("_Key", bound="Hashable")


@final
@dataclass(slots=True)
class _Window:
    """What came of one kind since a moment."""

    ends: float
    told: int = 1
    counted: int = 0


@final
@dataclass(frozen=True, slots=True)
class Summary(Generic[_Key]):
    """How often something happened that was not told each time.

    Attributes:
        key: What happened; None for all that there was no room to tell apart.
        count: How many times, beyond those that were told.
    """

    key: _Key | None
    count: int


@final
class Throttle(Generic[_Key]):
    """Lets the first few of a kind be told in each window of time, and counts the others.

    A window begins with the first of a kind. Once it is over, `due` gives the number of those that were counted.
    """

    def __init__(self, *, burst: int = 10, window: float = 60.0, most_keys: int = 1000) -> None:
        """Sets the bounds.

        Args:
            burst: How many of a kind are told in a window.
            window: Its length, in seconds.
            most_keys: How many kinds are told apart; beyond that new ones are counted as one.
        """
        self._burst = burst
        self._length = window
        self._most_keys = most_keys
        # In the order in which they end.
        self._windows: dict[_Key | None, _Window] = {}
        self._ended: list[Summary[_Key]] = []

    def __repr__(self) -> str:
        return f"<Throttle kinds={len(self._windows)}>"

    def admit(self, key: _Key, now: float) -> bool:
        """Returns whether something is to be told; else it was counted.

        Args:
            key: What happened.
            now: The time, in seconds on a clock that only goes forward.
        """
        self._end_windows(now)
        kind = key if key in self._windows or len(self._windows) < self._most_keys else None
        window = self._windows.get(kind)
        if window is None:
            self._windows[kind] = _Window(now + self._length)
            return True
        if window.told < self._burst:
            window.told += 1
            return True
        window.counted += 1
        return False

    def due(self, now: float) -> list[Summary[_Key]]:
        """Returns what was counted in the windows that are over, once.

        Args:
            now: The time, on the clock of `admit`.
        """
        self._end_windows(now)
        ended, self._ended = self._ended, []
        return ended

    def next_due(self) -> float | None:
        """Returns when `due` has something to tell; None if nothing was counted."""
        if self._ended:
            return 0.0
        return next((window.ends for window in self._windows.values() if window.counted), None)

    def rest(self) -> list[Summary[_Key]]:
        """Returns all that was counted and not returned yet, for the end."""
        return self.due(float("inf"))

    def _end_windows(self, now: float) -> None:
        while self._windows and (first := next(iter(self._windows.items())))[1].ends <= now:
            kind, window = first
            del self._windows[kind]
            if window.counted:
                self._ended.append(Summary(kind, window.counted))
