"""Lets finished jobs go once there are more than are to be kept, or once they are too old."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, final

from jobworker.worker.bus import Deleted, output_channel, stream_channel
from jobworker.worker.errors import JobNotFoundError, WorkerError
from jobworker.worker.job import STREAMS
from jobworker.worker.threads import in_thread

if TYPE_CHECKING:
    from jobworker.worker.bus import MessageBus
    from jobworker.worker.job import Job
    from jobworker.worker.lifecycle import Lifecycle
    from jobworker.worker.output import OutputLogs
    from jobworker.worker.reader import LogReaders
    from jobworker.worker.retention import KeepFinished
    from jobworker.worker.store import JobStore

_LONGEST_WAIT_SECONDS = 86_400.0
"""After a day at the latest the clock is asked again: it may have been set."""


@final
class Cleaner:
    """Deletes finished jobs."""

    def __init__(self, store: JobStore, logs: OutputLogs, readers: LogReaders, bus: MessageBus) -> None:
        """Deletes nothing yet.

        Args:
            store: Where the jobs are kept.
            logs: Their output.
            readers: Who reads it.
            bus: Where it is published.
        """
        self._store = store
        self._logs = logs
        self._readers = readers
        self._bus = bus

    def __repr__(self) -> str:
        return f"<Cleaner {self._store!r}>"

    async def delete(self, job: Job) -> None:
        """Deletes a finished job: its readers end, its output is discarded, it is forgotten, and its disk space freed.

        In this order a crash in between leaves a job without output, which can be deleted again, or discarded output,
        which the next worker removes; and never a job's output without the job.

        Raises:
            JobNotFoundError: If it was deleted meanwhile.
            StateDirectoryError: If its output can't be removed; the fault of whoever changed the directory.
            JobStoreError: If the store can't forget it; the message says why.
            ResourceExhaustedError: If the disk is full; the host's fault.
        """
        with self._readers.deleting(job.id):
            discarded = self._logs.discard(job)
            await self._store.delete(job.id)
        if discarded is not None:
            await in_thread(self._logs.empty, discarded)
        for channel in (output_channel(job.id), *(stream_channel(job.id, stream) for stream in STREAMS)):
            self._bus.publish(channel, Deleted())

    async def run(self, keep: KeepFinished, lifecycle: Lifecycle) -> None:
        """Deletes whatever is not to be kept, until it is cancelled.

        Args:
            keep: What is to be kept.
            lifecycle: What tells of each job's end.
        """
        for discarded in self._logs.discarded():
            await in_thread(self._logs.empty, discarded)
        while True:
            now = datetime.now(UTC)
            try:
                await self._delete_surplus(keep, now)
                due = keep.due(await self._store.oldest_end())
            except WorkerError:
                due = None  # the store can't, its disk being full, say: the next end is the next try
            wait = _LONGEST_WAIT_SECONDS if due is None else min((due - now).total_seconds(), _LONGEST_WAIT_SECONDS)
            try:
                async with asyncio.timeout(max(wait, 0.0)):
                    await lifecycle.next_end()
            except TimeoutError:
                pass

    async def _delete_surplus(self, keep: KeepFinished, now: datetime) -> None:
        while surplus := await self._store.surplus(keep.count, keep.ended_before(now)):
            for job in surplus:
                try:
                    await self.delete(job)
                except JobNotFoundError:
                    continue  # a client was faster
