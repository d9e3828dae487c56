"""What is due by the clock: the ends of grace periods, and another try where descriptors or memory had run out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobworker.supervisor.proc import EXHAUSTED

if TYPE_CHECKING:
    from jobworker.supervisor.leader import Leader

# When to look again for what could not be looked for, since descriptors or memory had run out.
_RETRY_SECONDS = 1.0


def soonest(*timeouts: float | None) -> float | None:
    """Returns the shortest of some timeouts, in seconds, of which None is none; None if all are."""
    return min((one for one in timeouts if one is not None), default=None)


class Deadlines:
    """The grace periods of jobs, and when to try again; times are those of the monotonic clock, in seconds."""

    def __init__(self) -> None:
        """Has nothing due."""
        self._graced: dict[str, Leader] = {}
        self._retry_at: float | None = None

    def __repr__(self) -> str:
        return f"<Deadlines graced={len(self._graced)} retry={self._retry_at is not None}>"

    def begin_grace(self, leader: Leader, until: float) -> None:
        """Lets a job have a grace period."""
        leader.deadline = until
        self._graced[leader.job_id] = leader

    def end_grace(self, leader: Leader) -> None:
        """Takes a job's grace period away."""
        leader.deadline = None
        self._graced.pop(leader.job_id, None)

    def try_again(self, error: OSError) -> None:
        """Has what failed since descriptors or memory ran out done later; other errors are bugs.

        Raises:
            OSError: The error, if it is another.
        """
        if error.errno not in EXHAUSTED:
            raise error
        self._retry_at = self._retry_at or time.monotonic() + _RETRY_SECONDS

    def timeout(self) -> float | None:
        """Returns in how many seconds something is due; None if nothing is."""
        due = [leader.deadline for leader in self._graced.values() if leader.deadline is not None]
        if self._retry_at is not None:
            due.append(self._retry_at)
        return max(0.0, min(due) - time.monotonic()) if due else None

    def take_graced(self) -> list[Leader]:
        """Returns the jobs whose grace period is over, and ends it."""
        now = time.monotonic()
        over = [one for one in self._graced.values() if one.deadline is not None and one.deadline <= now]
        for leader in over:
            self.end_grace(leader)
        return over

    def take_retry(self) -> bool:
        """Returns whether it is time to try again, once."""
        is_due = self._retry_at is not None and self._retry_at <= time.monotonic()
        if is_due:
            self._retry_at = None
        return is_due
