"""The job store: job id to job. It knows nothing of processes, output or events."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, final

from jobworker.worker.errors import AmbiguousJobIdError, JobNotFoundError

if TYPE_CHECKING:
    from jobworker.worker.job import Job


@final
@dataclass(frozen=True, slots=True)
class Page:
    """One page of jobs, newest first.

    Attributes:
        jobs: The jobs.
        next_page_token: What to ask for the next page with; empty on the last one.
    """

    jobs: tuple[Job, ...]
    next_page_token: str = ""


class JobStore(Protocol):
    """Keeps jobs and finds them by id, by the beginning of an id, by request id, or by age.

    Every job has a position: a number that grows with each job added and never changes.
    """

    async def add(self, job: Job) -> None:
        """Keeps a new job, as the newest.

        Args:
            job: A job whose id was never added, and whose owner did not give its request id before.

        Raises:
            ValueError: If the id, or the owner's request id, is there already; a bug of the caller's.
        """

    async def replace(self, job: Job) -> None:
        """Keeps `job` in place of the job of the same id, at the same position.

        Raises:
            JobNotFoundError: If no job has this id; a bug of the caller's.
        """

    async def find(self, prefix: str) -> Job:
        """Returns the one job whose id is `prefix` or begins with it.

        Raises:
            JobNotFoundError: If there is none; the fault of whoever asks.
            AmbiguousJobIdError: If there are several; the fault of whoever asks.
        """

    async def find_request(self, owner: str, request_id: str) -> Job | None:
        """Returns the job that `owner` started with `request_id`, or None."""

    async def page(self, size: int, before: int | None) -> tuple[tuple[Job, ...], int | None]:
        """Returns up to `size` jobs, newest first.

        Args:
            size: How many at most, at least 1.
            before: Only jobs at smaller positions than this one; None begins with the newest.

        Returns:
            The jobs, and the position of the last of them if there are older ones, else None.
        """

    async def running(self) -> tuple[Job, ...]:
        """Returns all jobs that are not in a final state, oldest first."""


@final
@dataclass(slots=True)
class MemoryJobStore:
    """A `JobStore` in this process's memory, forgotten with it."""

    _jobs: list[Job] = field(default_factory=list)
    _positions: dict[str, int] = field(default_factory=dict)
    _sorted_ids: list[str] = field(default_factory=list)
    _requests: dict[tuple[str, str], int] = field(default_factory=dict)
    _running: dict[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<MemoryJobStore jobs={len(self._jobs)} running={len(self._running)}>"

    async def add(self, job: Job) -> None:
        """See `JobStore.add`."""
        request = None if job.request_id is None else (job.owner, job.request_id)
        if job.id in self._positions or request in self._requests:
            raise ValueError(f"job {job.id} or its request id is in the store already")
        position = len(self._jobs)
        self._jobs.append(job)
        self._positions[job.id] = position
        bisect.insort(self._sorted_ids, job.id)
        if request is not None:
            self._requests[request] = position
        self._note_running(job, position)

    async def replace(self, job: Job) -> None:
        """See `JobStore.replace`."""
        position = self._positions.get(job.id)
        if position is None:
            raise JobNotFoundError(job.id)
        self._jobs[position] = job
        self._note_running(job, position)

    async def find(self, prefix: str) -> Job:
        """See `JobStore.find`."""
        position = self._positions.get(prefix)
        if position is not None:
            return self._jobs[position]
        first = bisect.bisect_left(self._sorted_ids, prefix)
        # "~" sorts after every character of an id.
        matches = bisect.bisect_left(self._sorted_ids, prefix + "~", first) - first
        if not matches:
            raise JobNotFoundError(prefix)
        if matches > 1:
            raise AmbiguousJobIdError(prefix, matches)
        return self._jobs[self._positions[self._sorted_ids[first]]]

    async def find_request(self, owner: str, request_id: str) -> Job | None:
        """See `JobStore.find_request`."""
        position = self._requests.get((owner, request_id))
        return None if position is None else self._jobs[position]

    async def page(self, size: int, before: int | None) -> tuple[tuple[Job, ...], int | None]:
        """See `JobStore.page`."""
        end = len(self._jobs) if before is None else max(0, min(before, len(self._jobs)))
        first = max(0, end - size)
        return tuple(reversed(self._jobs[first:end])), first or None

    async def running(self) -> tuple[Job, ...]:
        """See `JobStore.running`."""
        return tuple(self._jobs[position] for position in self._running.values())

    def _note_running(self, job: Job, position: int) -> None:
        if job.state.is_final:
            self._running.pop(job.id, None)
        else:
            self._running[job.id] = position
