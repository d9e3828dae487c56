"""How long finished jobs are kept; no I/O and no event loop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import final

from jobworker.worker.errors import InvalidArgumentError

_FIRST_TIME = datetime.min.replace(tzinfo=UTC)


@final
@dataclass(frozen=True, slots=True)
class KeepFinished:
    """Which finished jobs are kept, with their output; a job that runs always is.

    A job is let go once either limit is passed. The defaults keep the last 10,000 for 30 days.

    Attributes:
        count: How many at most, those that ended last; None is any number.
        age: For how long after their end; None is for ever.

    Raises:
        InvalidArgumentError: If one of them is negative; the caller's fault.
    """

    count: int | None = 10_000
    age: timedelta | None = timedelta(days=30)

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 0:
            raise InvalidArgumentError(f"a number of {self.count} jobs to keep can't be; give 0 or more, or None")
        if self.age is not None and self.age < timedelta():
            raise InvalidArgumentError(f"an age of {self.age} to keep jobs can't be; give none that is negative")

    def ended_before(self, now: datetime) -> datetime | None:
        """Returns the time before which a job must have ended to be too old, or None if none ever is.

        Args:
            now: The time (UTC).
        """
        # An age that goes back beyond the calendar is one that no job reaches.
        return None if self.age is None or self.age > now - _FIRST_TIME else now - self.age

    def due(self, oldest_end: datetime | None) -> datetime | None:
        """Returns when the next job will be too old, or None if none ever is.

        Args:
            oldest_end: When the longest finished job ended (UTC); None if no job has.
        """
        if self.age is None or oldest_end is None or self.age > datetime.max.replace(tzinfo=UTC) - oldest_end:
            return None
        return oldest_end + self.age
