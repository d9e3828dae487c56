"""Reads one stream of one job from an offset, to its end so far or, following, to its very end."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.worker.bus import Grew, MessageBus, Subscription, stream_channel
from jobworker.worker.errors import JobDeletedError, JobNotFoundError, OffsetOutOfRangeError, WorkerClosedError
from jobworker.worker.frames import Frame, LogData, LogEnd, LogGap
from jobworker.worker.log_files import CHUNK_BYTES
from jobworker.worker.tail import find_tail

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from jobworker.worker.errors import WorkerError
    from jobworker.worker.job import Job, StreamName
    from jobworker.worker.log_files import OutputLog
    from jobworker.worker.output import OutputLogs
    from jobworker.worker.store import JobStore

IN_FLIGHT_BYTES = 64 << 20
"""What the frames of all readers may hold together, as long as each may have `LEAST_CHUNK_BYTES`."""

LEAST_CHUNK_BYTES = 16 << 10
"""The least that a frame may hold, however many readers there are."""

_SHARES_OF_THE_REST = 8


@final
@dataclass(slots=True, eq=False)
class _Reading:
    """One read under way: where it is, and how far it goes."""

    job_id: str
    stream: StreamName
    offset: int = 0
    # How many bytes it may still give.
    left: int = sys.maxsize
    # Where the stream ends for it; None while that isn't known, since it follows.
    end: int | None = None
    # What the frame that it gave last may take of the memory of all, until it is asked for the next.
    held: int = 0
    # What it waits for at the end of what there is.
    news: Subscription | None = None
    # Whether it has read all that there was when it last looked, so that news must come of whatever is more.
    has_caught_up: bool = False
    # Why it must end before its time.
    error: WorkerError | None = None

    def fail(self, error: WorkerError) -> None:
        self.error = error
        if self.news is not None:
            self.news.end()

    def check(self) -> None:
        if self.error is not None:
            raise self.error

    @property
    def is_over(self) -> bool:
        return not self.left or (self.end is not None and self.offset >= self.end)

    def wanted(self, most: int) -> int:
        return min(most, self.left, most if self.end is None else self.end - self.offset)

    def take(self, first: int, data: bytes) -> tuple[LogGap | LogData, ...]:
        """Goes on by what was read; where it begins later than asked for, it was released up to there."""
        gap_end = first if self.end is None else min(first, self.end)
        gap = (LogGap(self.offset, gap_end),) if gap_end > self.offset else ()
        self.offset = gap_end + len(data)
        self.left -= len(data)
        return (*gap, LogData(gap_end, data)) if data else gap

    async def wait(self) -> None:
        """Waits until the stream may have more than was read, or has ended."""
        if self.news is not None:
            async for message in self.news:
                if not isinstance(message, Grew) or message.size > self.offset:
                    return
        self.check()
        raise WorkerClosedError


@final
class LogReaders:
    """All readers of one worker's output logs; each holds an offset, and none can slow a job or another reader."""

    def __init__(self, store: JobStore, logs: OutputLogs, bus: MessageBus) -> None:
        self._store = store
        self._logs = logs
        self._bus = bus
        # By job id.
        self._readings: dict[str, set[_Reading]] = {}
        self._count = 0
        self._held = 0
        self._deleting: set[str] = set()
        self._ended = False

    def __repr__(self) -> str:
        return f"<LogReaders readers={self._count}>"

    async def read(  # noqa: PLR0913 - where a read begins and ends has many forms
        self,
        job: Job,
        stream: StreamName,
        *,
        offset: int = 0,
        tail_lines: int | None = None,
        limit: int = 0,
        follow: bool,
    ) -> AsyncGenerator[Frame, None]:
        """Yields a stream from an offset, frame by frame; each begins where the one before ended.

        Args:
            job: The job.
            stream: Which of its streams.
            offset: Where to begin, in bytes from 0.
            tail_lines: Where to begin in its place: this many lines before the end of what is there now.
            limit: How many bytes of output to give at most; 0 for any number.
            follow: Whether to wait for more until the job has ended; else what is there now is all.

        Yields:
            `LogData`, `LogGap` for what was released, and last, if all goes well, one `LogEnd`.

        Raises:
            OffsetOutOfRangeError: If the stream has fewer bytes than the offset; the caller's fault.
            JobDeletedError: If the job was deleted meanwhile; whoever deleted it meant it.
            ResourceExhaustedError: If there are no file descriptors or watches left; the host's fault.
            StateDirectoryError: If the log is gone; the fault of whoever removed it.
            WorkerClosedError: If `end_all` was called; the host is going down.
        """
        with self._reading(job.id, stream) as reading:
            reading.offset, reading.left = offset, limit or sys.maxsize
            async with AsyncExitStack() as stack:
                job = await self._current(reading)
                log = stack.enter_context(self._logs.open(job, stream))
                size = job.written(stream) if job.state.is_final else log.size()
                if offset > size:
                    raise OffsetOutOfRangeError(offset, size)
                if tail_lines is not None:
                    reading.offset = await find_tail(log, size, tail_lines)
                if job.state.is_final or not follow:
                    reading.end = size
                else:
                    reading.news = await stack.enter_async_context(self._following(job.id, stream))
                while frames := await self._next(reading, log):
                    for frame in frames:
                        yield frame
                    del frame, frames  # a follower that waits must not hold what it has given
                yield LogEnd(reading.offset, self._logs.measured(await self._current(reading)))

    def end_job(self, job_id: str) -> None:
        """Ends every reader of a job with a `JobDeletedError`; to be called before its logs are removed."""
        for reading in self._readings.get(job_id, ()):
            reading.fail(JobDeletedError(job_id))

    @contextmanager
    def deleting(self, job_id: str) -> Iterator[None]:
        """Ends every reader of a job, and those that come while the context lasts, with a `JobDeletedError`.

        So no reader sees a job that is in the store still, when its logs are not in their place any more.
        """
        self._deleting.add(job_id)
        try:
            self.end_job(job_id)
            yield
        finally:
            self._deleting.discard(job_id)

    def end_all(self) -> None:
        """Ends every reader with a `WorkerClosedError`, and those to come."""
        self._ended = True
        for readings in self._readings.values():
            for reading in readings:
                reading.fail(WorkerClosedError())

    @contextmanager
    def _reading(self, job_id: str, stream: StreamName) -> Iterator[_Reading]:
        if self._ended:
            raise WorkerClosedError
        if job_id in self._deleting:
            raise JobDeletedError(job_id)
        reading = _Reading(job_id, stream)
        self._readings.setdefault(job_id, set()).add(reading)
        self._count += 1
        try:
            yield reading
        finally:
            self._hold(reading, 0)
            self._count -= 1
            self._readings[job_id].discard(reading)
            if not self._readings[job_id]:
                del self._readings[job_id]

    @asynccontextmanager
    async def _following(self, job_id: str, stream: StreamName) -> AsyncIterator[Subscription]:
        async with self._bus.subscribe(stream_channel(job_id, stream)) as news:
            with self._logs.watching(job_id, stream):
                yield news

    async def _current(self, reading: _Reading) -> Job:
        reading.check()
        try:
            job = await self._store.find(reading.job_id)
        except JobNotFoundError:
            raise JobDeletedError(reading.job_id) from None
        reading.check()
        return job

    async def _next(self, reading: _Reading, log: OutputLog) -> tuple[LogGap | LogData, ...]:
        """Returns the frames that come next, once there are any; none at the end."""
        self._hold(reading, 0)
        while True:
            # A writer of small lines has always written one more by now. To go after each of them would take the
            # processor that it could have; so would the client, who would get them in as many frames.
            if reading.has_caught_up and not reading.is_over:
                await reading.wait()
            # Known before each read, so that nothing is read beyond it: what left the job's process group may write
            # on. News can't tell, since a slow reader may lose it.
            if reading.end is None and (job := await self._current(reading)).state.is_final:
                reading.end = job.written(reading.stream)
            # A job may have truncated its log, so that the end lies before the offset.
            if reading.is_over:
                return ()
            size = log.size() if reading.end is None else sys.maxsize
            first, data = await log.read(reading.offset, reading.wanted(self._chunk_bytes()))
            reading.check()
            frames = reading.take(first, data)
            reading.has_caught_up = reading.end is None and (not frames or reading.offset >= size)
            if frames:
                self._hold(reading, len(data))
                return frames
            if reading.end is not None:
                return ()

    def _chunk_bytes(self) -> int:
        # A fair share, but the less the less is left: those that came before may hold more, and not let go of it.
        share = min(IN_FLIGHT_BYTES // self._count, (IN_FLIGHT_BYTES - self._held) // _SHARES_OF_THE_REST)
        return max(LEAST_CHUNK_BYTES, min(CHUNK_BYTES, share))

    def _hold(self, reading: _Reading, held: int) -> None:
        self._held += held - reading.held
        reading.held = held
