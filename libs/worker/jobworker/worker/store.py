"""The job store: job id to job. It knows nothing of processes, output or events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet
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
        principal: Whose it is, in the caller's own terms.
        request_id: The UUID that the caller gave the start, if any.
    """

    job_id: str
    command: tuple[str, ...]
    owner: str = ""
    principal: str = ""
    request_id: str | None = None


class JobStore(Protocol):
    """Keeps jobs and finds them by id, by the beginning of an id, by request id, or by age.

    An async context manager that belongs to one event loop: entering opens the store, leaving closes it. Every job has
    a position, from 1 on: a number that grows with each job added, never changes, and is never given twice.

    Where principals are given as `visible_to`, the answer is that of a store which has no jobs but theirs; None is all
    jobs.

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
            ValueError: If the job id, or the principal's request id, is there already, be it a job's or a
                reservation's; a bug of the caller's.
        """

    async def release(self, job_id: str) -> None:
        """Forgets the reservation of a start that was refused; nothing happens if there is none."""

    async def reservations(self) -> tuple[Reservation, ...]:
        """Returns the reservations that are left, oldest first."""

    async def add(self, job: Job) -> None:
        """Keeps a new job, as the newest, and ends its reservation if it has one, in one step.

        Raises:
            ValueError: If the id, or the principal's request id, is there already; a bug of the caller's.
        """

    async def replace(self, job: Job) -> None:
        """Keeps `job` in place of the job of the same id, at the same position.

        A durable store writes what can change of a job: when its stop was asked for, its end and its sizes.

        A full or locked disk is no error here, since an end must not be lost: see `unsaved`.

        Raises:
            JobNotFoundError: If no job has this id; a bug of the caller's.
        """

    async def delete(self, job_id: str) -> None:
        """Forgets a job, whatever its state, and its request id with it.

        Raises:
            JobNotFoundError: If no job has this id; the fault of whoever asks.
        """

    async def find(self, prefix: str, *, visible_to: AbstractSet[str] | None = None) -> Job:
        """Returns the one job whose id is `prefix` or begins with it.

        Raises:
            JobNotFoundError: If there is none; the fault of whoever asks.
            AmbiguousJobIdError: If there are several; the fault of whoever asks.
        """

    async def find_request(self, principal: str, request_id: str) -> Job | None:
        """Returns the job of `principal` that was started with `request_id`, or None."""

    async def page(
        self, size: int, before: int | None, *, visible_to: AbstractSet[str] | None = None
    ) -> tuple[tuple[Job, ...], int | None]:
        """Returns up to `size` jobs, newest first.

        Args:
            size: How many at most, at least 1.
            before: Only jobs at smaller positions than this one; None begins with the newest.
            visible_to: Whose jobs, by the names of their principals; None is everyone's.

        Returns:
            The jobs, and the position of the last of them if there are older ones, else None.
        """

    async def running(self) -> tuple[Job, ...]:
        """Returns all jobs that are not in a final state, oldest first."""

    async def running_counts(self) -> Mapping[str, int]:
        """Returns how many jobs run of each principal that has any; it may change with the store."""

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

    def secret(self) -> bytes:
        """Returns random bytes that the store alone knows, to seal positions with; a durable one keeps them."""

    def unsaved(self) -> frozenset[str]:
        """Returns the ids of the jobs that a durable store could not yet write as they are now.

        The store has them right, but not a later one that opens the same file. Each later write tries them again.
        """
