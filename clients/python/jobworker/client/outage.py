"""Decides how long to wait for a broken connection, and when to give up; reads no clock and waits for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from jobworker.client.settings import PATIENCE

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
STANDING = 1.0
"""After how many seconds a call that then breaks counts as progress, even if the job wrote nothing in that time."""


@final
@dataclass(slots=True)
class Outage:
    """A time without progress.

    Attributes:
        patience: how many seconds without progress are borne.
        since: when it was noticed, in seconds; None while all is well.
        pauses: how many pauses it has had.
    """

    patience: float = PATIENCE
    since: float | None = None
    pauses: int = 0

    def over(self) -> None:
        """Takes note of progress."""
        self.since = None
        self.pauses = 0

    def stood(self, seconds: float) -> None:
        """Takes note that a call has broken which had reached the service, and stood for some seconds."""
        if seconds >= STANDING:
            self.over()

    def pause(self, now: float, chance: float) -> float | None:
        """Returns how many seconds to wait before the next attempt, or None to give up.

        Args:
            now: the time, in seconds from anywhere.
            chance: a random number from 0 to 1, so that many clients do not come back at the same moment.
        """
        self.since = now if self.since is None else self.since
        if now - self.since >= self.patience:
            return None
        longest = min(FIRST_PAUSE * 2.0**self.pauses, LONGEST_PAUSE)
        self.pauses += 1
        return longest * (1 + chance) / 2
