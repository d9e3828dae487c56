"""Keeps a worker connected to a supervisor, and carries what it tells to where it belongs."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.supervisor import failpoints
from jobworker.supervisor.protocol import Acknowledge, End, Ended, Exited, Refused, Started, Stop, Synced
from jobworker.worker.burial import Burial
from jobworker.worker.errors import (
    CgroupError,
    InheritanceError,
    JobNotFoundError,
    SupervisorError,
    WorkerClosedError,
    WorkerError,
)
from jobworker.worker.job import Lost
from jobworker.worker.lifecycle import end_of

if TYPE_CHECKING:
    from jobworker.supervisor.protocol import Configure, Event, Request
    from jobworker.supervisor.records import Records
    from jobworker.worker.lifecycle import Lifecycle
    from jobworker.worker.output import OutputLogs
    from jobworker.worker.starts import Starts
    from jobworker.worker.store import JobStore
    from jobworker.worker.supervisors import Supervisors

_ATTEMPTS = 3
"""How many supervisors in a row may die as soon as they are there: the next one may have more luck."""


@final
@dataclass(slots=True)
class Recovery:
    """What a worker took back from the one before it.

    Attributes:
        running: How many jobs run on.
        ended: How many had ended meanwhile.
        lost: How many were lost.
    """

    running: int = 0
    ended: int = 0
    lost: int = 0


@final
class Supervision:
    """One worker's connection to the supervisor of its jobs, and to the next one if that dies."""

    def __init__(
        self, store: JobStore, logs: OutputLogs, lifecycle: Lifecycle, supervisors: Supervisors, records: Records | None
    ) -> None:
        """Is not connected yet.

        Args:
            store: Where jobs are kept.
            logs: Their output.
            lifecycle: What changes them.
            supervisors: Where a supervisor comes from.
            records: What a dead one leaves; None if its jobs can't be taken over.
        """
        self._store = store
        self._logs = logs
        self._lifecycle = lifecycle
        self._supervisors = supervisors
        self._records = records
        self._connected = asyncio.Event()
        self._unacknowledged: set[str] = set()
        self._closing = False
        self._keep_jobs = False
        self.recovery = Recovery()
        self.cgroup_root = ""

    def __repr__(self) -> str:
        return f"<Supervision {'connected' if self._connected.is_set() else 'not connected'}>"

    async def connect(self, starts: Starts, configuration: Configure) -> None:
        """Connects to a supervisor, and learns what has become of all jobs.

        Args:
            starts: The starts under way.
            configuration: How jobs are to be started.

        Raises:
            WorkerError: As `Supervisors.connect`.
            CgroupError: If the cgroup that was asked for can't be used; the fault of whoever configured it.
            InheritanceError: If jobs can't be given what they are to inherit; the fault of whoever configured it.
        """
        self._starts = starts
        self._configuration = configuration
        self._burial = Burial(self._store, self._logs, self._lifecycle, starts)
        unended = [*(job.id for job in await self._store.running()), *starts.asked()]
        await self._connect()
        for job_id in unended:
            await self._count(job_id)

    async def _connect(self) -> None:
        for _ in range(0 if self._records is None else _ATTEMPTS - 1):
            with suppress(SupervisorError):
                await self._try_to_connect()
                return
        await self._try_to_connect()

    async def _try_to_connect(self) -> None:
        self._client = await self._supervisors.connect(self._bury)
        try:
            self._client.send(self._configuration)
            await self._reconcile(await self._sync())
        except BaseException:
            await self._client.close()
            if self._records is None:
                await self._supervisors.ended(self._client)
            raise
        self._connected.set()

    async def serve(self) -> None:
        """Handles what the supervisor says until it has ended as asked; if it dies, turns to a new one.

        Raises:
            SupervisorError: If a supervisor died whose jobs can't be taken over, or none can be started.
            JobStoreError: If the job store fails.
        """
        has_ended = False
        try:
            while True:
                has_ended = await self._listen()
                await self._client.close()
                if self._closing and (has_ended or self._keep_jobs):
                    break
                self._connected.clear()
                await self._turn_to_another()
                if self._closing:
                    self._part()
        finally:
            # Also if the job store failed: nobody else would answer them.
            self._starts.fail_all(WorkerClosedError())
            await self._client.close()
            if has_ended or self._records is None:
                await self._supervisors.ended(self._client)

    async def ask(self, request: Request) -> None:
        """Sends a request to the supervisor, once there is one.

        Raises:
            WorkerClosedError: If `close` was called; the caller's fault.
        """
        # Again, since that may have changed before this task could go on.
        while not self._connected.is_set():
            await self._connected.wait()
        if self._closing:
            raise WorkerClosedError
        self._client.send(request)

    def stop(self, job_id: str, grace_seconds: float) -> None:
        """Asks for a job's end, unless all jobs are being ended, or are lost since the supervisor is dead."""
        if self._connected.is_set() and not self._closing:
            self._client.send(Stop(job_id, grace_seconds))

    def close(self, *, keep_jobs: bool) -> None:
        """Lets `serve` come to its end.

        Args:
            keep_jobs: Whether the supervisor, and all jobs, go on; else they are killed first.
        """
        if not self._closing:
            self._closing, self._keep_jobs = True, keep_jobs
            if self._connected.is_set():
                self._part()

    def _part(self) -> None:
        if self._keep_jobs:
            self._client.hang_up()
        else:
            self._client.send(End())

    async def _listen(self) -> bool:
        """Handles what the supervisor says until the connection ends; returns whether it has ended as asked."""
        has_ended = False
        async for event in self._client.events():
            await self._handle(event)
            if isinstance(event, Ended):
                has_ended = True
                self._client.hang_up()
        return has_ended

    async def _sync(self) -> set[str]:
        """Handles what a supervisor tells first, and returns the ids of all jobs that it knows."""
        told: set[str] = set()
        async for event in self._client.events():
            if isinstance(event, Synced):
                self.cgroup_root = event.cgroup_root
                wanted = self._configuration.cgroup_root
                if event.problem and wanted not in {"auto", "off"}:
                    raise CgroupError(wanted, event.problem)
                if event.unfit:
                    raise InheritanceError(event.unfit)
                return told
            if isinstance(event, Started):
                told.add(event.job_id)
            await self._handle(event)
        raise SupervisorError("the supervisor died as soon as it was connected")

    async def _reconcile(self, told: set[str]) -> None:
        """Sees to what is under way here, and what the supervisor does not know."""
        for request in await self._starts.unmade(told):
            self._client.send(request)
        await self._burial.end_unknown(told)

    async def _count(self, job_id: str) -> None:
        """Counts what has become of a job that the worker before this one has left."""
        with suppress(JobNotFoundError):
            job = await self._store.find(job_id)
            self.recovery.running += not job.state.is_final
            self.recovery.lost += isinstance(job.outcome, Lost)
            self.recovery.ended += job.state.is_final and not isinstance(job.outcome, Lost)

    async def _handle(self, event: Event) -> None:
        match event:
            case Started():
                await self._started(event)
            case Refused():
                await self._starts.refused(event)
            case Exited():
                await self._exited(event)

    async def _started(self, event: Started) -> None:
        failpoints.reach(failpoints.TOLD_STARTED)
        try:
            job = await self._starts.started(event)
        except WorkerError:
            # The store can't take it, and so can't be asked for it; its end will be tried again.
            self._client.send(Stop(event.job_id, 0))
            return
        if job is not None:
            self._lifecycle.started(job)
        elif not await self._is_known(event.job_id):
            # Nobody could ever find it: the store was replaced.
            self._client.send(Stop(event.job_id, 0))

    async def _is_known(self, job_id: str) -> bool:
        try:
            await self._store.find(job_id)
        except JobNotFoundError:
            return job_id in self._starts.unkept()
        return True

    async def _exited(self, event: Exited) -> None:
        if event.job_id in self._starts.unkept():
            await self._starts.ended(event.job_id, end_of(event))
        elif not await self._lifecycle.exited(event):
            self._logs.remove(event.job_id)
        failpoints.reach(failpoints.KEPT)
        self._unacknowledged.add(event.job_id)
        kept = self._unacknowledged - self._store.unsaved() - self._starts.unkept()
        self._unacknowledged -= kept
        for job_id in kept:
            self._client.send(Acknowledge(job_id))

    async def _turn_to_another(self) -> None:
        """Connects to another supervisor in place of a dead one; if there can't be one, kills what is left of all jobs.

        Raises:
            SupervisorError: If the dead one's jobs can't be taken over.
            WorkerError: As `Supervisors.connect`.
        """
        try:
            if self._records is not None:
                await self._connect()
                return
            await self._supervisors.ended(self._client)
        except WorkerError:
            with suppress(OSError):  # out of descriptors, say; then the next worker finds them
                await self._burial.kill_all(self.cgroup_root)
            raise
        jobs, processes = await self._burial.kill_all(self.cgroup_root)
        raise SupervisorError(f"the supervisor died; {processes} processes of its {jobs} jobs were killed")

    async def _bury(self, has_run_since: bool) -> None:  # noqa: FBT001 - as `Supervisors.connect` gives it
        if self._records is not None:
            await self._burial.bury(self._records, has_run_since=has_run_since)
