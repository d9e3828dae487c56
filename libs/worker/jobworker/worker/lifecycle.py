"""Changes jobs as their supervisor tells, keeps each change, and publishes it; it talks to no supervisor itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, final

from jobworker.supervisor import failpoints
from jobworker.worker.bus import Closed, StateChanged, output_channel, stream_channel
from jobworker.worker.errors import JobNotFoundError
from jobworker.worker.job import STREAMS, Exited, Lost, Signaled
from jobworker.worker.starts import to_datetime

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobworker.supervisor.protocol import Exited as ExitedEvent
    from jobworker.worker.bus import MessageBus
    from jobworker.worker.job import Job
    from jobworker.worker.output import OutputLogs
    from jobworker.worker.store import JobStore


def end_of(event: ExitedEvent) -> Callable[[Job], Job]:
    """Returns what makes of a job the one that has ended as its supervisor has seen it end."""
    signal, by_stop, at = event.signal, event.by_stop, to_datetime(event.time_ns)
    outcome = Exited(event.code or 0, by_stop) if signal is None else Signaled(signal, by_stop)

    def end(job: Job) -> Job:
        # A job that ends because its worker does is stopped too, though no client asked for it.
        asked = job.with_stop_request(at) if by_stop else job
        measured = asked.with_sizes(event.stdout_bytes, event.stderr_bytes)
        return job if job.state.is_final else measured.ended(outcome, at, killed_processes=event.killed)

    return end


@final
class Lifecycle:
    """The changes of one worker's jobs."""

    def __init__(self, store: JobStore, bus: MessageBus, logs: OutputLogs) -> None:
        """Changes no job yet.

        Args:
            store: Where jobs are kept.
            bus: Where their changes are published.
            logs: Their output.
        """
        self._store = store
        self._bus = bus
        self._logs = logs
        self._changing = asyncio.Lock()
        self._ended = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Lifecycle {self._store!r}>"

    async def change(self, job_id: str, change: Callable[[Job], Job]) -> Job:
        """Changes a job in the store; a change never undoes another that came between its reading and its writing.

        Raises:
            JobNotFoundError: If no job has this id; a bug of the caller's.
        """
        async with self._changing:
            before = await self._store.find(job_id)
            after = change(before)
            if after is not before:
                await self._store.replace(after)
        return after

    def measured(self, job: Job) -> Job:
        """Returns a job with the sizes its output has now; a finished one's are known."""
        if job.state.is_final:
            return job
        return job.with_sizes(*(self._logs.size(job.id, stream) for stream in STREAMS))

    def started(self, job: Job) -> None:
        """Publishes that a job was started."""
        self._bus.publish(output_channel(job.id), StateChanged(job))

    async def exited(self, event: ExitedEvent) -> bool:
        """Ends a job as its supervisor has seen it end.

        Returns:
            Whether there is such a job.
        """
        failpoints.reach(failpoints.TOLD_EXITED)
        return await self._end(event.job_id, end_of(event))

    async def lose(self, job_id: str, reason: str, killed: int = 0) -> bool:
        """Ends a job whose end nobody saw.

        Args:
            job_id: The job.
            reason: Why, in a sentence for people.
            killed: How many of its processes were left and were killed.

        Returns:
            Whether there is such a job.
        """
        now = datetime.now(UTC)
        return await self._end(job_id, lambda job: self.measured(job).ended(Lost(reason), now, killed_processes=killed))

    async def next_end(self) -> None:
        """Waits until a job has ended since this was last waited for."""
        await self._ended.wait()
        self._ended.clear()

    async def _end(self, job_id: str, end: Callable[[Job], Job]) -> bool:
        try:
            job = await self.change(job_id, end)
        except JobNotFoundError:
            return False
        for stream in STREAMS:
            self._bus.publish(stream_channel(job.id, stream), Closed(job.written(stream)))
        self._bus.publish(output_channel(job.id), StateChanged(job))
        self._ended.set()
        return True
