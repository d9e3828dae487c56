"""The durable job store: a SQLite file that outlives the worker; what runs is kept in memory too."""

from __future__ import annotations

import bisect
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar, final

from jobworker.worker import sqlite_statements as sql
from jobworker.worker.errors import (
    AmbiguousJobIdError,
    JobNotFoundError,
    JobStoreError,
    ResourceExhaustedError,
    WorkerClosedError,
)
from jobworker.worker.reservations import Reservations
from jobworker.worker.sqlite_database import Database
from jobworker.worker.sqlite_errors import is_damage
from jobworker.worker.sqlite_rows import (
    job_of,
    job_row,
    reservation_of,
    reservation_row,
    to_microseconds,
    to_text,
    to_time,
)
from jobworker.worker.sqlite_schema import MIGRATIONS
from jobworker.worker.store import MAX_SURPLUS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from jobworker.worker.job import Job
    from jobworker.worker.sqlite_database import Statement
    from jobworker.worker.sqlite_rows import Row
    from jobworker.worker.store import Reservation

_T = TypeVar("_T")

_LAST_POSITION = 2**63 - 1
_MOST_SAVED = 200
"""How many jobs one transaction writes that could not be written before: some 10 ms of the event loop's time."""


@final
class SqliteJobStore:
    """A `JobStore` in a SQLite file, in WAL mode.

    What is on the disk when: a commit is in the WAL, a file that the kernel has; so a kill of this process, whenever it
    comes, takes nothing. The disk has it with the next checkpoint (PRAGMA synchronous=NORMAL,
    https://sqlite.org/pragma.html#pragma_synchronous); so a power cut may take the last commits, in their order, and
    never harms the file. `reserve` alone must stand that too, and calls fsync on the WAL after its commit. That is
    enough: a transaction is in the WAL, whole (https://sqlite.org/wal.html, "How WAL Works"), or a checkpoint has moved
    it into the database meanwhile, which is synced before the WAL is written over. What else a power cut takes is known
    elsewhere: it ends every job, and the supervisor's records say which there were.

    An end is never lost either. If the disk is full or the file locked, the job's new state is kept in memory, where
    all calls find it, and is written with the next transaction that succeeds, or when the store is closed.
    """

    is_durable: ClassVar[bool] = True

    def __init__(self, path: Path | str, *, migrations: tuple[str, ...] = MIGRATIONS) -> None:
        """Prepares a store; entering it opens the file.

        Args:
            path: The file, made if it isn't there, in a folder that is. SQLite keeps two more beside it.
            migrations: See `MIGRATIONS`; tests give others.
        """
        self._path = Path(path)
        self._database = Database(self._path, migrations)
        self._count = 0
        self._reserved = Reservations()
        # The jobs that run, oldest first, and those not yet written as they are: right, whatever their rows say.
        self._running: dict[str, Job] = {}
        self._unsaved: dict[str, Job] = {}
        self._released: set[str] = set()  # reservations that are no more, and are not yet deleted

    def __repr__(self) -> str:
        counts = f"jobs={self._count} running={len(self._running)} unsaved={len(self._unsaved)}"
        return f"<SqliteJobStore {self._path} {counts}>"

    async def __aenter__(self) -> Self:
        """Opens the file.

        Raises:
            JobStoreError: If it can't be used; the fault of whoever touched it or configured it, or of the disk. A
                damaged one is renamed, so that the next start can do without it.
            ResourceExhaustedError: If the disk is full, or no descriptors are left; the host's fault.
        """
        await self._database.open()
        try:
            self._load()
        except BaseException:
            await self._database.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Writes what is left to be written, and closes the file.

        Raises:
            JobStoreError, ResourceExhaustedError: If it can't be written; then it is lost to the store.
        """
        try:
            while self._unsaved or self._released:
                # Now or never: even if the event loop stands still meanwhile.
                self._database.wait_longer()
                self._save(*self._some_unsaved())
        finally:
            await self._database.close()

    async def reserve(self, reservation: Reservation) -> None:
        """See `JobStore.reserve`."""
        self._check_new(reservation.job_id, reservation.owner, reservation.request_id)
        if reservation.job_id in self._reserved:
            raise ValueError(f"the start of job {reservation.job_id} is reserved already")
        self._write((sql.RESERVE, reservation_row(reservation)))
        self._reserved.take(reservation)
        try:
            await self._database.sync()
        except BaseException:
            # If the store is closed now, whoever opens it finds that nothing came of the start.
            with suppress(WorkerClosedError):
                await self.release(reservation.job_id)
            raise

    async def release(self, job_id: str) -> None:
        """See `JobStore.release`."""
        if self._reserved.end(job_id):
            self._released.add(job_id)
            self._save_if_possible()

    async def reservations(self) -> tuple[Reservation, ...]:
        """See `JobStore.reservations`."""
        return self._reserved.all()

    async def add(self, job: Job) -> None:
        """See `JobStore.add`."""
        self._check_new(job.id, job.owner, job.request_id)
        self._write((sql.RELEASE, (job.id,)), (sql.ADD, job_row(job)))
        self._reserved.end(job.id)
        self._count += 1
        if not job.state.is_final:
            self._running[job.id] = job

    async def replace(self, job: Job) -> None:
        """See `JobStore.replace`."""
        if self._known(job.id) is None and not self._database.read(sql.TAKEN, (job.id, "", None)):
            raise JobNotFoundError(job.id)
        # From here on this is the job, whatever the disk says.
        if job.state.is_final:
            self._running.pop(job.id, None)
        else:
            self._running[job.id] = job
        self._unsaved[job.id] = job
        self._save_if_possible(job)

    async def delete(self, job_id: str) -> None:
        """See `JobStore.delete`."""
        if not self._write((sql.DELETE, (job_id,))):
            raise JobNotFoundError(job_id)
        self._count -= 1
        self._running.pop(job_id, None)
        self._unsaved.pop(job_id, None)

    async def find(self, prefix: str) -> Job:
        """See `JobStore.find`."""
        known = self._known(prefix)
        if known is not None:
            return known
        # "~" sorts after every character of an id.
        rows = self._database.read(sql.BY_ID, (prefix, prefix + "~"))
        if not rows:
            raise JobNotFoundError(prefix)
        if len(rows) > 1 and rows[0][0] != prefix:
            ((matches,),) = self._database.read(sql.COUNT_BY_ID, (prefix, prefix + "~"))
            raise AmbiguousJobIdError(prefix, matches)
        return self._job(rows[0])

    async def find_request(self, owner: str, request_id: str) -> Job | None:
        """See `JobStore.find_request`."""
        rows = self._database.read(sql.BY_REQUEST, (to_text(owner), to_text(request_id)))
        return self._job(rows[0]) if rows else None

    async def page(self, size: int, before: int | None) -> tuple[tuple[Job, ...], int | None]:
        """See `JobStore.page`."""
        first = _LAST_POSITION if before is None else min(before, _LAST_POSITION)
        rows = self._database.read(sql.PAGE, (first, size + 1))
        jobs = tuple(self._job(row[:-1]) for row in rows[:size])
        return jobs, rows[size - 1][-1] if len(rows) > size else None

    async def running(self) -> tuple[Job, ...]:
        """See `JobStore.running`."""
        return tuple(self._running.values())

    async def surplus(self, keep: int | None, ended_before: datetime | None) -> tuple[Job, ...]:
        """See `JobStore.surplus`."""
        excess = 0 if keep is None else self._count - len(self._running) - keep
        rows = self._database.read(sql.ENDED_BEFORE, (to_microseconds(ended_before),)) if ended_before else []
        if len(rows) < min(excess, MAX_SURPLUS):
            rows = self._database.read(sql.ENDED_FIRST, (min(excess, MAX_SURPLUS),))
        # Both limits take from the same end, so the longer of the two answers is the whole one.
        jobs = sorted((*map(self._job, rows), *self._ended_unsaved()), key=_end_time)
        aged = bisect.bisect_left(jobs, ended_before, key=_end_time) if ended_before else 0
        return tuple(jobs[: min(MAX_SURPLUS, max(0, excess, aged))])

    async def oldest_end(self) -> datetime | None:
        """See `JobStore.oldest_end`."""
        ((oldest,),) = self._database.read(sql.OLDEST_END)
        ends = [] if oldest is None else [to_time(oldest)]
        return min((*ends, *map(_end_time, self._ended_unsaved())), default=None)

    def unsaved(self) -> frozenset[str]:
        """See `JobStore.unsaved`."""
        return frozenset(self._unsaved)

    def _load(self) -> None:
        self._unsaved.clear()
        self._released.clear()
        self._reserved = Reservations()
        for row in self._database.read(sql.RESERVATIONS):
            self._reserved.take(self._decoded(reservation_of, row))
        self._running = {row[0]: self._decoded(job_of, row) for row in self._database.read(sql.RUNNING)}
        ((self._count,),) = self._database.read(sql.COUNT)

    def _known(self, job_id: str) -> Job | None:
        return self._running.get(job_id) or self._unsaved.get(job_id)

    def _job(self, row: Row) -> Job:
        return self._known(row[0]) or self._decoded(job_of, row)

    def _decoded(self, decode: Callable[[Row], _T], row: Row) -> _T:
        try:
            return decode(row)
        except (ValueError, TypeError) as error:
            raise JobStoreError(self._path, f"what it holds of job {row[0]!r} makes no sense ({error})") from error

    def _ended_unsaved(self) -> Iterator[Job]:
        return (job for job in self._unsaved.values() if job.state.is_final)

    def _check_new(self, job_id: str, owner: str, request_id: str | None) -> None:
        self._reserved.check(job_id, owner, request_id)
        request = None if request_id is None else to_text(request_id)
        if self._database.read(sql.TAKEN, (job_id, to_text(owner), request)):
            raise ValueError(f"job {job_id} or its request id is in the store already")

    def _write(self, *statements: Statement) -> int:
        changed = self._transact(*statements)
        self._save_more()
        return changed

    def _save_if_possible(self, *jobs: Job) -> None:
        """Writes what has changed; not if there is no room for it now, or the file is locked.

        Raises:
            JobStoreError: If it never can be, since the file is damaged.
        """
        try:
            self._save(*jobs)
        except (ResourceExhaustedError, JobStoreError) as error:
            if is_damage(error.__cause__):
                raise
        else:
            self._save_more()

    def _save_more(self) -> None:
        """Writes some of what could not be written before; something else was, so the time may have come."""
        if self._unsaved:
            with suppress(ResourceExhaustedError, JobStoreError):
                self._save(*self._some_unsaved())

    def _some_unsaved(self) -> Iterator[Job]:
        return islice(self._unsaved.values(), _MOST_SAVED)

    def _save(self, *jobs: Job) -> None:
        self._transact(*((sql.REPLACE, (*job_row(job), job.id)) for job in jobs))
        for job in jobs:
            del self._unsaved[job.id]

    def _transact(self, *statements: Statement) -> int:
        # First of all, so that no file has two reservations of one request.
        released = [(sql.RELEASE, (job_id,)) for job_id in self._released]
        changed = self._database.write(*released, *statements)
        self._released.clear()
        return changed


def _end_time(job: Job) -> datetime:
    # Of finished jobs alone.
    return job.end_time or job.start_time
