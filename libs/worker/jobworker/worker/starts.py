"""Starts under way: each is asked of the supervisor once, whoever waits for it, and however many do."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, final

from jobworker.supervisor.protocol import Refused, Start, Started
from jobworker.worker.errors import RequestIdReusedError, WorkerError
from jobworker.worker.job import Job
from jobworker.worker.refusals import refusal

if TYPE_CHECKING:
    from jobworker.worker.output import OutputLogs
    from jobworker.worker.store import JobStore
    from jobworker.worker.supervisor_client import SupervisorClient

_EPOCH = datetime.fromtimestamp(0, UTC)


def to_datetime(time_ns: int) -> datetime:
    """Returns a time given in nanoseconds since the epoch, to the microsecond, in UTC."""
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


@final
@dataclass(frozen=True, slots=True)
class _Pending:
    """A start that the supervisor has not answered yet."""

    command: tuple[str, ...]
    owner: str
    request_id: str | None
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

    def fail(self, error: WorkerError) -> None:
        """Answers whoever waits."""
        for future in self.waiting:
            if not future.done():
                future.set_exception(error)


@final
class Starts:
    """The starts that wait for the supervisor's answer."""

    def __init__(self, store: JobStore, supervisor: SupervisorClient, logs: OutputLogs) -> None:
        self._store = store
        self._supervisor = supervisor
        self._logs = logs
        self._pending: dict[str, _Pending] = {}
        self._requests: dict[tuple[str, str], _Pending] = {}
        self._deciding = asyncio.Lock()
        self._failure: WorkerError | None = None

    def __repr__(self) -> str:
        return f"<Starts pending={len(self._pending)}>"

    async def start(self, command: tuple[str, ...], owner: str, request_id: str | None) -> Job:
        """Starts a job, or finds the one that the same owner's same request id has started already.

        A caller that is cancelled meanwhile leaves the start to go on: a start is never half done.

        Raises:
            RequestIdReusedError: If the request id came before with another command; the caller's fault.
            WorkerError: If the job could not be started; see `refusal`.
        """
        if request_id is None:
            pending = self._begin(command, owner, None)
        else:
            # Held while it is decided which start the request is, never while the supervisor works.
            async with self._deciding:
                found = self._requests.get((owner, request_id)) or await self._store.find_request(owner, request_id)
                if found is not None and found.command != command:
                    raise RequestIdReusedError(request_id)
                if isinstance(found, Job):
                    return found
                pending = found or self._begin(command, owner, request_id)
        return await pending.wait()

    def _begin(self, command: tuple[str, ...], owner: str, request_id: str | None) -> _Pending:
        if self._failure is not None:
            raise self._failure
        job_id = str(uuid.uuid4())
        pending = _Pending(command, owner, request_id)
        self._supervisor.start(
            Start(job_id, list(command), self._logs.path(job_id, "stdout"), self._logs.path(job_id, "stderr"))
        )
        self._pending[job_id] = pending
        if request_id is not None:
            self._requests[owner, request_id] = pending
        return pending

    async def started(self, event: Started) -> Job:
        """Keeps the job that the supervisor has started, then answers whoever waits for it."""
        pending = self._pending[event.job_id]
        job = Job(
            id=event.job_id,
            command=pending.command,
            start_time=to_datetime(event.time_ns),
            owner=pending.owner,
            request_id=pending.request_id,
        )
        # In the store before it is no longer pending: a request id is always found in one of the two.
        await self._store.add(job)
        self._forget(event.job_id)
        pending.succeed(job)
        return job

    def refused(self, event: Refused) -> None:
        """Tells whoever waits for a start why it failed; its request id may be tried again."""
        pending = self._forget(event.job_id)
        pending.fail(refusal(pending.command, event.step, event.error))

    def pending(self) -> tuple[str, ...]:
        """Returns the job ids of the starts that wait."""
        return tuple(self._pending)

    def fail_all(self, error: WorkerError) -> None:
        """Fails every start that waits, and those to come, since no answer will."""
        self._failure = error
        for job_id in self.pending():
            self._forget(job_id).fail(error)

    def _forget(self, job_id: str) -> _Pending:
        pending = self._pending.pop(job_id)
        if pending.request_id is not None:
            del self._requests[pending.owner, pending.request_id]
        return pending
