"""Reads one stream of one job from an offset, to its end so far or, following, to its very end."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, final

from jobworker.worker.bus import Grew, MessageBus, Subscription, stream_channel
from jobworker.worker.errors import OffsetOutOfRangeError, WorkerClosedError
from jobworker.worker.output import CHUNK_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from jobworker.worker.job import Job, StreamName
    from jobworker.worker.output import OutputLog, OutputLogs
    from jobworker.worker.store import JobStore


@final
class LogReaders:
    """All readers of one worker's output logs; each holds an offset, and none can slow a job or another reader."""

    def __init__(self, store: JobStore, logs: OutputLogs, bus: MessageBus) -> None:
        self._store = store
        self._logs = logs
        self._bus = bus
        self._followers: set[Subscription] = set()
        self._ended = False

    def __repr__(self) -> str:
        return f"<LogReaders followers={len(self._followers)}>"

    async def read(self, job: Job, stream: StreamName, offset: int, *, follow: bool) -> AsyncGenerator[bytes, None]:
        """Yields a stream's bytes from an offset, in chunks of up to `CHUNK_BYTES`.

        Args:
            job: The job.
            stream: Which of its streams.
            offset: Where to begin, in bytes from 0.
            follow: Whether to wait for more until the job has ended; else what is there now is all.

        Raises:
            OffsetOutOfRangeError: If the stream has fewer bytes than the offset; the caller's fault.
            ResourceExhaustedError: If there are no file descriptors or watches left; the host's fault.
            StateDirectoryError: If the log is gone; the fault of whoever removed it.
            WorkerClosedError: If `end_all` was called; the host is going down.
        """
        async with AsyncExitStack() as stack:
            log = stack.enter_context(self._logs.open(job.id, stream))
            end = await self._final_size(job.id, stream)
            size = log.size() if end is None else end
            if offset > size:
                raise OffsetOutOfRangeError(offset, size)
            if not follow:
                end = size
            elif end is None:
                news = await stack.enter_async_context(self._following(job.id, stream))
            while True:
                # Known before each read, so that nothing is read beyond it: what left the job's process group may write
                # on. News can't tell, since a slow reader may lose it.
                if end is None:
                    end = await self._final_size(job.id, stream)
                if chunk := await self._next_chunk(log, offset, end):
                    yield chunk
                    offset += len(chunk)
                elif end is not None:
                    return
                else:
                    await self._news_beyond(offset, news)

    def end_all(self) -> None:
        """Ends every reader with a `WorkerClosedError`, and those to come."""
        self._ended = True
        for subscription in self._followers:
            subscription.end()

    @asynccontextmanager
    async def _following(self, job_id: str, stream: StreamName) -> AsyncIterator[Subscription]:
        async with self._bus.subscribe(stream_channel(job_id, stream)) as news:
            with self._logs.watching(job_id, stream):
                self._followers.add(news)
                try:
                    yield news
                finally:
                    self._followers.discard(news)

    async def _final_size(self, job_id: str, stream: StreamName) -> int | None:
        job = await self._store.find(job_id)
        return job.written(stream) if job.state.is_final else None

    async def _next_chunk(self, log: OutputLog, offset: int, end: int | None) -> bytes:
        """Returns what comes next up to `end`, or up to the log's end so far for None; b"" when it is reached."""
        if self._ended:
            raise WorkerClosedError
        if end is None:
            return await log.read(offset, CHUNK_BYTES)
        # A job may have truncated its log, so that the end lies before the offset.
        return await log.read(offset, end - offset) if offset < end else b""

    async def _news_beyond(self, offset: int, news: Subscription) -> None:
        """Waits until the stream may have more than `offset` bytes, or has ended."""
        async for message in news:
            if not isinstance(message, Grew) or message.size > offset:
                return
        raise WorkerClosedError
