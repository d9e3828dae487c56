"""The job store: job id to job. It knows nothing of processes, output or events."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol, final

from jobworker.worker.errors import AmbiguousJobIdError, JobNotFoundError
from jobworker.worker.reservations import Reservations

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from jobworker.worker.job import Job

MAX_SURPLUS = 1000
"""How many jobs `JobStore.surplus` returns at most."""


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


@final
@dataclass(frozen=True, slots=True)
class Reservation:
    """A start that is under way: the job does not exist yet, but its ids are taken.

    Attributes:
        job_id: The id that the job will have.
        command: The program and its arguments.
        owner: Who starts it, in the caller's own terms.
        request_id: The UUID that the caller gave the start, if any.
    """

    job_id: str
    command: tuple[str, ...]
    owner: str = ""
    request_id: str | None = None


class JobStore(Protocol):
    """Keeps jobs and finds them by id, by the beginning of an id, by request id, or by age.

    An async context manager that belongs to one event loop: entering opens the store, leaving closes it. Every job has
    a position, from 1 on: a number that grows with each job added, never changes, and is never given twice.

    Any method of a store that is kept in a file may fail with `JobStoreError`, if the file can't be used, the fault of
    whoever touched it, or of the disk; and with `ResourceExhaustedError`, if the disk is full, the host's fault. Then
    nothing is half done.
    """

    @property
    def is_durable(self) -> bool:
        """Whether the store outlives the process, so that another one may open it and find the jobs."""

    async def __aenter__(self) -> Self:
        """Opens the store."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the store; whatever was left to be written is."""

    async def reserve(self, reservation: Reservation) -> None:
        """Keeps that a start is under way, in a durable store on the disk once this returns.

        A reservation is no job: nothing but `reservations` shows it. A caller that is cancelled has reserved nothing.

        Raises:
            ValueError: If the job id, or the owner's request id, is there already, be it a job's or a reservation's; a
                bug of the caller's.
        """

    async def release(self, job_id: str) -> None:
        """Forgets the reservation of a start that was refused; nothing happens if there is none."""

    async def reservations(self) -> tuple[Reservation, ...]:
        """Returns the reservations that are left, oldest first."""

    async def add(self, job: Job) -> None:
        """Keeps a new job, as the newest, and ends its reservation if it has one, in one step.

        Raises:
            ValueError: If the id, or the owner's request id, is there already; a bug of the caller's.
        """

    async def replace(self, job: Job) -> None:
        """Keeps `job` in place of the job of the same id, at the same position.

        A full or locked disk is no error here, since an end must not be lost: see `unsaved`.

        Raises:
            JobNotFoundError: If no job has this id; a bug of the caller's.
        """

    async def delete(self, job_id: str) -> None:
        """Forgets a job, whatever its state, and its request id with it.

        Raises:
            JobNotFoundError: If no job has this id; the fault of whoever asks.
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

    async def surplus(self, keep: int | None, ended_before: datetime | None) -> tuple[Job, ...]:
        """Returns finished jobs that are not to be kept any longer, oldest end first.

        Args:
            keep: How many finished jobs to keep, those that ended last; None is any number.
            ended_before: Those that ended before this time are not to be kept; None is none.

        Returns:
            Up to `MAX_SURPLUS` of them; the others are for the next call.
        """

    async def oldest_end(self) -> datetime | None:
        """Returns when the longest finished job ended, or None if no job has."""

    def unsaved(self) -> frozenset[str]:
        """Returns the ids of the jobs that a durable store could not yet write as they are now.

        The store has them right, but not a later one that opens the same file. Each later write tries them again.
        """


@final
@dataclass(slots=True)
class MemoryJobStore:
    """A `JobStore` in this process's memory, forgotten with it."""

    is_durable: ClassVar[bool] = False

    # By position, or positions; every list is sorted.
    _jobs: dict[int, Job] = field(default_factory=dict)
    _order: list[int] = field(default_factory=list)
    _positions: dict[str, int] = field(default_factory=dict)
    _sorted_ids: list[str] = field(default_factory=list)
    _requests: dict[tuple[str, str], int] = field(default_factory=dict)
    _running: list[int] = field(default_factory=list)
    _ended: list[tuple[datetime, int]] = field(default_factory=list)
    _reserved: Reservations = field(default_factory=Reservations)
    _last: int = 0

    def __repr__(self) -> str:
        return f"<MemoryJobStore jobs={len(self._jobs)} running={len(self._running)}>"

    async def __aenter__(self) -> Self:
        """See `JobStore`."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """See `JobStore`."""

    async def reserve(self, reservation: Reservation) -> None:
        """See `JobStore.reserve`."""
        self._check_new(reservation.job_id, reservation.owner, reservation.request_id)
        self._reserved.take(reservation)

    async def release(self, job_id: str) -> None:
        """See `JobStore.release`."""
        self._reserved.end(job_id)

    async def reservations(self) -> tuple[Reservation, ...]:
        """See `JobStore.reservations`."""
        return self._reserved.all()

    async def add(self, job: Job) -> None:
        """See `JobStore.add`."""
        self._check_new(job.id, job.owner, job.request_id)
        self._reserved.check(job.id, job.owner, job.request_id)
        self._reserved.end(job.id)
        self._last += 1
        self._order.append(self._last)
        self._positions[job.id] = self._last
        bisect.insort(self._sorted_ids, job.id)
        if job.request_id is not None:
            self._requests[job.owner, job.request_id] = self._last
        self._jobs[self._last] = job
        self._sort_in(job, self._last)

    async def replace(self, job: Job) -> None:
        """See `JobStore.replace`."""
        position = self._position(job.id)
        self._sort_out(self._jobs[position], position)
        self._jobs[position] = job
        self._sort_in(job, position)

    async def delete(self, job_id: str) -> None:
        """See `JobStore.delete`."""
        position = self._position(job_id)
        job = self._jobs.pop(position)
        self._sort_out(job, position)
        del self._positions[job_id]
        del self._order[bisect.bisect_left(self._order, position)]
        del self._sorted_ids[bisect.bisect_left(self._sorted_ids, job_id)]
        if job.request_id is not None:
            del self._requests[job.owner, job.request_id]

    async def find(self, prefix: str) -> Job:
        """See `JobStore.find`."""
        if prefix in self._positions:
            return self._jobs[self._positions[prefix]]
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
        end = len(self._order) if before is None else bisect.bisect_left(self._order, before)
        first = max(0, end - size)
        jobs = tuple(self._jobs[position] for position in reversed(self._order[first:end]))
        return jobs, self._order[first] if first else None

    async def running(self) -> tuple[Job, ...]:
        """See `JobStore.running`."""
        return tuple(self._jobs[position] for position in self._running)

    async def surplus(self, keep: int | None, ended_before: datetime | None) -> tuple[Job, ...]:
        """See `JobStore.surplus`."""
        excess = 0 if keep is None else len(self._ended) - keep
        aged = 0 if ended_before is None else bisect.bisect_left(self._ended, (ended_before, 0))
        return tuple(self._jobs[position] for _, position in self._ended[: min(MAX_SURPLUS, max(0, excess, aged))])

    async def oldest_end(self) -> datetime | None:
        """See `JobStore.oldest_end`."""
        return self._ended[0][0] if self._ended else None

    def unsaved(self) -> frozenset[str]:
        """See `JobStore.unsaved`."""
        return frozenset()

    def _check_new(self, job_id: str, owner: str, request_id: str | None) -> None:
        if job_id in self._positions or (request_id is not None and (owner, request_id) in self._requests):
            raise ValueError(f"job {job_id} or its request id is in the store already")

    def _position(self, job_id: str) -> int:
        if job_id not in self._positions:
            raise JobNotFoundError(job_id)
        return self._positions[job_id]

    def _sort_in(self, job: Job, position: int) -> None:
        if job.end_time is None:
            bisect.insort(self._running, position)
        else:
            bisect.insort(self._ended, (job.end_time, position))

    def _sort_out(self, job: Job, position: int) -> None:
        if job.end_time is None:
            del self._running[bisect.bisect_left(self._running, position)]
        else:
            del self._ended[bisect.bisect_left(self._ended, (job.end_time, position))]
