"""Starts under way: each is asked of the supervisor once, whoever waits for it, and however many do."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias, final

from jobworker.supervisor import failpoints
from jobworker.supervisor.protocol import Start
from jobworker.worker.errors import RequestIdReusedError, WorkerClosedError, WorkerError
from jobworker.worker.job import Job
from jobworker.worker.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from collections.abc import Set as AbstractSet

    from jobworker.supervisor.protocol import Refused, Request, Started
    from jobworker.worker.output import OutputLogs
    from jobworker.worker.store import JobStore, Reservation

Admit: TypeAlias = "Callable[[Counter[str]], None]"
"""Is given how many jobs run, or are being started, of each principal; raises to refuse a new one."""

Announce: TypeAlias = "Callable[[str], Awaitable[None]]"
"""Is given a new job's id once it was admitted, and before anything is done for it; raises to have nothing done."""

_EPOCH = datetime.fromtimestamp(0, UTC)


def to_datetime(time_ns: int) -> datetime:
    """Returns a time given in nanoseconds since the epoch, to the microsecond, in UTC."""
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


@final
@dataclass(slots=True)
class _Pending:
    """A start that the supervisor has not answered yet, or whose job the store could not take yet."""

    reservation: Reservation
    # Whether a worker before this one has begun it.
    is_old: bool = False
    # Whether the supervisor may have been asked.
    asked: bool = False
    # What is known of the job that the store could not take yet: when it was started, and how it ended.
    start_time: datetime | None = None
    end: Callable[[Job], Job] | None = None
    # A future a caller: one that is cancelled takes nothing from the others, nor from the start.
    waiting: list[asyncio.Future[Job]] = field(default_factory=list)

    async def wait(self) -> Job:
        """Returns the job once it is started, or raises why it was not."""
        future: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        return await future

    def succeed(self, job: Job) -> None:
        """Answers whoever waits."""
        for future in self.waiting:
            if not future.done():
                future.set_result(job)

    def fail(self, error: Exception) -> None:
        """Answers whoever waits."""
        for future in self.waiting:
            if not future.done():
                future.set_exception(error)
        self.waiting.clear()

    def job(self, start_time: datetime) -> Job:
        """Returns the job as far as it is known."""
        of = self.reservation
        job = Job(of.job_id, of.command, start_time, of.owner, of.principal, of.request_id)
        return self.end(job) if self.end else job


@final
class Starts:
    """The starts that wait for the supervisor's answer."""

    def __init__(
        self,
        store: JobStore,
        logs: OutputLogs,
        tasks: asyncio.TaskGroup,
        ask: Callable[[Request], Awaitable[None]],
    ) -> None:
        """Prepares for starts.

        Args:
            store: Where starts are reserved, and jobs kept.
            logs: Whose paths the jobs' output goes to.
            tasks: What owns the starts, so that a caller's cancellation takes nothing from them.
            ask: Sends a request to the supervisor once there is one; or raises a WorkerError.
        """
        self._store = store
        self._logs = logs
        self._tasks = tasks
        self._ask = ask
        self._pending: dict[str, _Pending] = {}
        self._requests: dict[tuple[str, str], _Pending] = {}
        self._deciding = asyncio.Lock()
        self._keeping = asyncio.Lock()
        self._failure: WorkerError | None = None

    def __repr__(self) -> str:
        return f"<Starts pending={len(self._pending)}>"

    async def resume(self) -> None:
        """Takes up the starts that a worker before this one had under way."""
        for reservation in await self._store.reservations():
            self._add(_Pending(reservation, is_old=True, asked=True))

    async def start(
        self,
        wanted: Reservation,
        aliases: AbstractSet[str] = frozenset(),
        admit: Admit | None = None,
        announce: Announce | None = None,
    ) -> Job:
        """Starts a job, or finds the one that the same principal's same request id has started already.

        A caller that is cancelled meanwhile leaves the start to go on: a start is never half done.

        Args:
            wanted: The job, with an id that it gets if it is a new one.
            aliases: Other names of its principal.
            admit: What may refuse a new one; it raises whatever the caller is to be told.
            announce: What is to know of a new one before it is made, and may refuse it in the same way.

        Raises:
            RequestIdReusedError: If the request id came before with another command; the caller's fault.
            WorkerError: If the job could not be started; see `refusal`.
        """
        # Held while it is decided which start the request is, and whether there is room for another; never while the
        # supervisor works.
        async with self._deciding:
            found = await self._find(wanted, aliases)
            if isinstance(found, Job):
                return found
            pending = found or await self._begin(wanted, admit, announce)
        return await (pending.wait() if pending.start_time is None else self._keep(pending, pending.start_time))

    async def _find(self, wanted: Reservation, aliases: AbstractSet[str]) -> _Pending | Job | None:
        request_id = wanted.request_id
        if request_id is None:
            return None
        for principal in (wanted.principal, *aliases):
            pending = self._requests.get((principal, request_id))
            found = pending or await self._store.find_request(principal, request_id)
            if found is not None:
                known = found.reservation if isinstance(found, _Pending) else found
                if known.command != wanted.command:
                    raise RequestIdReusedError(request_id)
                return found
        return None

    async def _begin(self, wanted: Reservation, admit: Admit | None, announce: Announce | None) -> _Pending:
        if admit:
            admit(await self._under_way())
        if self._failure is not None:
            raise self._failure
        pending = _Pending(wanted)
        self._add(pending)
        name = f"jobworker: start {pending.reservation.job_id}"
        self._tasks.create_task(self._request(pending, announce), name=name)
        return pending

    async def _under_way(self) -> Counter[str]:
        """Returns how many jobs of each principal run or are being started."""
        # Before and after, since a job may pass from the one to the other meanwhile; then it may count twice.
        starting = self._starting()
        under_way = Counter[str](await self._store.running_counts())
        under_way.update((starting | self._starting()).values())
        return under_way

    def _starting(self) -> dict[str, str]:
        return {job_id: pending.reservation.principal for job_id, pending in self._pending.items()}

    async def _request(self, pending: _Pending, announce: Announce | None) -> None:
        """Announces a start, reserves it, so that it is never made twice, and asks the supervisor for it."""
        job_id = pending.reservation.job_id
        try:
            if announce:
                await announce(job_id)
        except Exception as error:  # noqa: BLE001 - it is the caller's, who may raise what it likes
            if job_id in self._pending:
                self._forget(job_id).fail(error)
            return
        if job_id not in self._pending:
            return  # it was failed meanwhile
        try:
            await self._store.reserve(pending.reservation)
            failpoints.reach(failpoints.STORED)
            await self._ask(self._request_of(pending))
            failpoints.reach(failpoints.ASKED)
            pending.asked = True
        except WorkerError as error:
            await self._store.release(job_id)
            if job_id in self._pending:
                self._forget(job_id).fail(error)

    def _request_of(self, pending: _Pending) -> Start:
        job_id, command = pending.reservation.job_id, list(pending.reservation.command)
        return Start(job_id, command, self._logs.path(job_id, "stdout"), self._logs.path(job_id, "stderr"))

    async def started(self, event: Started) -> Job | None:
        """Keeps a job that the supervisor has started, then answers whoever waits for it.

        Returns:
            The job; None if no start of it is under way.

        Raises:
            WorkerError: If the store can't take it now, which whoever waits is told; it stays a start under way, so
                that its request id can't start it again.
        """
        return await self.add(event.job_id, to_datetime(event.time_ns))

    async def add(self, job_id: str, start_time: datetime) -> Job | None:
        """As `started`, of a job that was started at a time."""
        pending = self._pending.get(job_id)
        return None if pending is None else await self._keep(pending, start_time)

    async def ended(self, job_id: str, end: Callable[[Job], Job]) -> None:
        """Notes the end of a job that the store could not take when it was started, and offers it all such jobs."""
        if job_id in self._pending:
            self._pending[job_id].end = end
        for pending in tuple(self._pending.values()):
            if pending.start_time is not None:
                with suppress(WorkerError):
                    await self._keep(pending, pending.start_time)

    async def _keep(self, pending: _Pending, start_time: datetime) -> Job:
        pending.start_time = start_time
        async with self._keeping:
            job = pending.job(start_time)
            # Else it was kept while this waited.
            if job.id in self._pending:
                try:
                    # In the store before it is no longer pending: a request id is always found in one of the two.
                    await self._store.add(job)
                except WorkerError as error:
                    pending.fail(error)
                    raise
                self._forget(job.id)
        pending.succeed(job)
        return job

    async def refused(self, event: Refused) -> None:
        """Tells whoever waits for a start why it failed; its request id may be tried again."""
        if event.job_id in self._pending:
            await self._store.release(event.job_id)
            pending = self._forget(event.job_id)
            pending.fail(refusal(pending.reservation.command, event.step, event.error))

    async def unmade(self, known: Collection[str]) -> list[Start]:
        """Returns the requests to make anew, of starts that the supervisor does not know though it was asked for them.

        Those of a worker before this one are forgotten, as nobody waits for them; their request ids may be tried again.
        """
        unmade = [self._pending[job_id] for job_id in self.asked() if job_id not in known]
        for pending in unmade:
            if pending.is_old:
                await self._store.release(pending.reservation.job_id)
                self._forget(pending.reservation.job_id).fail(WorkerClosedError())
        return [self._request_of(pending) for pending in unmade if not pending.is_old]

    def asked(self) -> tuple[str, ...]:
        """Returns the job ids of the starts that the supervisor may have been asked for, and has not answered."""
        return tuple(
            job_id for job_id, pending in self._pending.items() if pending.asked and pending.start_time is None
        )

    def unkept(self) -> frozenset[str]:
        """Returns the ids of the jobs that were started, and that the store could not take yet."""
        return frozenset(job_id for job_id, pending in self._pending.items() if pending.start_time is not None)

    def fail_all(self, error: WorkerError) -> None:
        """Fails every start that waits, and those to come, since no answer will."""
        self._failure = error
        for job_id in tuple(self._pending):
            self._forget(job_id).fail(error)

    def _add(self, pending: _Pending) -> None:
        reservation = pending.reservation
        self._pending[reservation.job_id] = pending
        if reservation.request_id is not None:
            self._requests[reservation.principal, reservation.request_id] = pending

    def _forget(self, job_id: str) -> _Pending:
        pending = self._pending.pop(job_id)
        reservation = pending.reservation
        if reservation.request_id is not None:
            del self._requests[reservation.principal, reservation.request_id]
        return pending
