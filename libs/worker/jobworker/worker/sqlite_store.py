"""The durable job store: a SQLite file that outlives the worker; what runs is kept in memory too."""

from __future__ import annotations

import bisect
import secrets
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar, final

from jobworker.worker import sqlite_statements as sql
from jobworker.worker.errors import (
    AmbiguousJobIdError,
    JobNotFoundError,
    JobStoreError,
    WorkerClosedError,
)
from jobworker.worker.reservations import Reservations
from jobworker.worker.running_jobs import RunningJobs
from jobworker.worker.sqlite_backlog import Backlog
from jobworker.worker.sqlite_database import Database
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
    from collections.abc import Callable, Iterator, Mapping
    from collections.abc import Set as AbstractSet
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from jobworker.worker.job import Job
    from jobworker.worker.sqlite_rows import Row
    from jobworker.worker.store import Reservation

_T = TypeVar("_T")

_LAST_POSITION = 2**63 - 1


@final
class SqliteJobStore:
    """A `JobStore` in a SQLite file, in WAL mode.

    What is on the disk when: a commit is in the WAL, a file that the kernel has; so a kill of this process, whenever it
    comes, takes nothing. The disk has it with the next checkpoint (PRAGMA synchronous=NORMAL,
    https://sqlite.org/pragma.html#pragma_synchronous); so a power cut may take the last commits, in their order, and
    never harms the file. `reserve` alone must stand that too, so that no job that was answered is forgotten, and calls
    fdatasync on the WAL after its commit. That is enough: a transaction is in the WAL, whole
    (https://sqlite.org/wal.html, "How WAL Works"), or a checkpoint has moved it into the database meanwhile, which is
    synced before the WAL is written over. What else a power cut takes is known elsewhere: it ends every job, and the
    supervisor's records say which there were.

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
        self._secret = b""
        self._reserved = Reservations()
        self._backlog = Backlog(self._database)
        # Right, whatever their rows say.
        self._running = RunningJobs()
        # Asked at each end of a job, and found by reading only after some job was deleted.
        self._oldest_end: datetime | None = None
        self._knows_oldest_end = False

    def __repr__(self) -> str:
        counts = f"jobs={self._count} running={len(self._running)} unsaved={len(self._backlog.jobs)}"
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
            self._backlog.end()
        finally:
            await self._database.close()

    async def reserve(self, reservation: Reservation) -> None:
        """See `JobStore.reserve`."""
        self._check_new(reservation.job_id, reservation.principal, reservation.request_id)
        if reservation.job_id in self._reserved:
            raise ValueError(f"the start of job {reservation.job_id} is reserved already")
        self._backlog.write((sql.RESERVE, reservation_row(reservation)))
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
            self._backlog.release(job_id)

    async def reservations(self) -> tuple[Reservation, ...]:
        """See `JobStore.reservations`."""
        return self._reserved.all()

    async def add(self, job: Job) -> None:
        """See `JobStore.add`."""
        if job.id in self._reserved:
            # Then its ids were free, and are taken since.
            self._reserved.check(job.id, job.principal, job.request_id)
        else:
            self._check_new(job.id, job.principal, job.request_id)
        self._backlog.write((sql.RELEASE, (job.id,)), (sql.ADD, job_row(job)))
        self._reserved.end(job.id)
        self._count += 1
        self._note(job)

    async def replace(self, job: Job) -> None:
        """See `JobStore.replace`."""
        if self._known(job.id) is None and not self._database.read(sql.TAKEN, (job.id, "", None)):
            raise JobNotFoundError(job.id)
        self._note(job)
        self._backlog.replace(job)

    async def delete(self, job_id: str) -> None:
        """See `JobStore.delete`."""
        if not self._backlog.write((sql.DELETE, (job_id,))):
            raise JobNotFoundError(job_id)
        self._count -= 1
        self._knows_oldest_end = False
        self._running.forget(job_id)
        self._backlog.jobs.pop(job_id, None)

    async def find(self, prefix: str, *, visible_to: AbstractSet[str] | None = None) -> Job:
        """See `JobStore.find`."""
        known = self._known(prefix)
        if known is not None and (visible_to is None or known.principal in visible_to):
            return known
        # "~" sorts after every character of an id.
        rows = self._select(sql.BY_ID, sql.BY_ID_OF, visible_to, prefix, prefix + "~")
        if not rows:
            raise JobNotFoundError(prefix)
        # The id itself sorts before all that begin with it.
        first = min(rows)
        if len(rows) > 1 and first[0] != prefix:
            counts = self._select(sql.COUNT_BY_ID, sql.COUNT_BY_ID_OF, visible_to, prefix, prefix + "~")
            raise AmbiguousJobIdError(prefix, sum(count for (count,) in counts))
        return self._job(first)

    async def find_request(self, principal: str, request_id: str) -> Job | None:
        """See `JobStore.find_request`."""
        rows = self._database.read(sql.BY_REQUEST, (to_text(principal), to_text(request_id)))
        return self._job(rows[0]) if rows else None

    async def page(
        self, size: int, before: int | None, *, visible_to: AbstractSet[str] | None = None
    ) -> tuple[tuple[Job, ...], int | None]:
        """See `JobStore.page`."""
        first = _LAST_POSITION if before is None else min(before, _LAST_POSITION)
        rows = self._select(sql.PAGE, sql.PAGE_OF, visible_to, first, size + 1)
        rows = sorted(rows, key=itemgetter(-1), reverse=True)[: size + 1]
        jobs = tuple(self._job(row[:-1]) for row in rows[:size])
        return jobs, rows[size - 1][-1] if len(rows) > size else None

    async def running(self) -> tuple[Job, ...]:
        """See `JobStore.running`."""
        return self._running.all()

    async def running_counts(self) -> Mapping[str, int]:
        """See `JobStore.running_counts`."""
        return self._running.counts

    async def surplus(self, keep: int | None, ended_before: datetime | None) -> tuple[Job, ...]:
        """See `JobStore.surplus`."""
        excess = 0 if keep is None else self._count - len(self._running) - keep
        rows = []
        if ended_before and (oldest := await self.oldest_end()) and oldest < ended_before:
            rows = self._database.read(sql.ENDED_BEFORE, (to_microseconds(ended_before),))
        if len(rows) < min(excess, MAX_SURPLUS):
            rows = self._database.read(sql.ENDED_FIRST, (min(excess, MAX_SURPLUS),))
        # Both limits take from the same end, so the longer of the two answers is the whole one.
        jobs = sorted((*map(self._job, rows), *self._ended_unsaved()), key=_end_time)
        aged = bisect.bisect_left(jobs, ended_before, key=_end_time) if ended_before else 0
        return tuple(jobs[: min(MAX_SURPLUS, max(0, excess, aged))])

    async def oldest_end(self) -> datetime | None:
        """See `JobStore.oldest_end`."""
        if not self._knows_oldest_end:
            ((oldest,),) = self._database.read(sql.OLDEST_END)
            ends = [] if oldest is None else [to_time(oldest)]
            self._oldest_end = min((*ends, *map(_end_time, self._ended_unsaved())), default=None)
            self._knows_oldest_end = True
        return self._oldest_end

    def secret(self) -> bytes:
        """See `JobStore.secret`."""
        return self._secret

    def unsaved(self) -> frozenset[str]:
        """See `JobStore.unsaved`."""
        return frozenset(self._backlog.jobs)

    def _load(self) -> None:
        self._backlog.clear()
        self._reserved = Reservations()
        self._knows_oldest_end = False
        for row in self._database.read(sql.RESERVATIONS):
            self._reserved.take(self._decoded(reservation_of, row))
        self._running = RunningJobs()
        for row in self._database.read(sql.RUNNING):
            self._running.note(self._decoded(job_of, row))
        ((self._count,),) = self._database.read(sql.COUNT)
        if not self._database.read(sql.SECRET):
            self._database.write((sql.KEEP_SECRET, (secrets.token_bytes(32),)))
        ((self._secret,),) = self._database.read(sql.SECRET)

    def _note(self, job: Job) -> None:
        """Notes what a job is from now on."""
        self._running.note(job)
        if job.state.is_final:
            self._oldest_end = min(_end_time(job), self._oldest_end or _end_time(job))

    def _known(self, job_id: str) -> Job | None:
        return self._running.find(job_id) or self._backlog.jobs.get(job_id)

    def _job(self, row: Row) -> Job:
        return self._known(row[0]) or self._decoded(job_of, row)

    def _decoded(self, decode: Callable[[Row], _T], row: Row) -> _T:
        try:
            return decode(row)
        except (ValueError, TypeError) as error:
            raise JobStoreError(self._path, f"what it holds of job {row[0]!r} makes no sense ({error})") from error

    def _ended_unsaved(self) -> Iterator[Job]:
        return (job for job in self._backlog.jobs.values() if job.state.is_final)

    def _select(self, of_all: str, of_one: str, visible_to: AbstractSet[str] | None, *values: object) -> list[Row]:
        """Returns the rows of everyone's jobs that fit, or of some principals', one after the other."""
        if visible_to is None:
            return self._database.read(of_all, values)
        return [row for principal in visible_to for row in self._database.read(of_one, (to_text(principal), *values))]

    def _check_new(self, job_id: str, principal: str, request_id: str | None) -> None:
        self._reserved.check(job_id, principal, request_id)
        request = None if request_id is None else to_text(request_id)
        if self._database.read(sql.TAKEN, (job_id, to_text(principal), request)):
            raise ValueError(f"job {job_id} or its request id is in the store already")


def _end_time(job: Job) -> datetime:
    # Of finished jobs alone.
    return job.end_time or job.start_time
