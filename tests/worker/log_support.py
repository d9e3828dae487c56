"""What the tests of output logs share: output whose every byte tells where it belongs, and checks of what was read."""

from __future__ import annotations

import random
import select
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jobworker.worker import Exited, Job, LogData, LogEnd, LogGap, MemoryJobStore, MessageBus
from jobworker.worker.bus import Closed, stream_channel
from jobworker.worker.inotify import Inotify
from jobworker.worker.output import OutputLogs
from jobworker.worker.reader import LogReaders

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from jobworker.supervisor.log_limits import LogLimits
    from jobworker.supervisor.running_logs import RunningLogs
    from jobworker.worker import Frame

# A prime, so that what lies one or several blocks further on is never the same; without zeros, which a hole has.
_PERIOD = 1_048_573
_TWICE = bytes(random.Random(3).choices(range(1, 256), k=_PERIOD)) * 2  # noqa: S311 - any bytes will do

WRITE_PATTERN = """
import random, sys
pattern = bytes(random.Random(3).choices(range(1, 256), k=1_048_573))
for _ in range(int(sys.argv[1])):
    sys.stdout.buffer.write(pattern)
"""
"""The source of a program that writes the pattern as often as its argument says."""


def pattern(offset: int, length: int) -> bytes:
    """Returns the output that belongs at an offset, of up to a period's length."""
    assert length <= _PERIOD
    return _TWICE[offset % _PERIOD :][:length]


def append(log: Path, length: int) -> None:
    """Writes the pattern's next bytes to a log."""
    with log.open("ab", buffering=0) as file:
        while length:
            length -= file.write(pattern(file.tell(), min(length, _PERIOD)))


class Tiles:
    """What a reader of the pattern has been given, checked frame by frame."""

    def __init__(self, offset: int = 0) -> None:
        """Begins at the offset that the read was asked to begin at, in bytes."""
        self.offset = offset
        self.data_bytes = 0
        self.gaps: list[LogGap] = []
        self.end: LogEnd | None = None

    def add(self, frame: Frame) -> None:
        """Takes the next frame.

        Raises:
            AssertionError: If it doesn't continue where the one before ended, or holds what isn't the pattern.
        """
        assert self.end is None, frame
        match frame:
            case LogData(offset=offset, data=data):
                assert offset == self.offset
                assert data
                assert data == pattern(offset, len(data)), f"what was read at {offset} does not belong there"
                self.offset += len(data)
                self.data_bytes += len(data)
            case LogGap(start=start, end=end):
                assert start == self.offset < end
                self.gaps.append(frame)
                self.offset = end
            case LogEnd(offset=offset):
                assert offset == self.offset
                self.end = frame

    @property
    def gap_bytes(self) -> int:
        """How many bytes were gone."""
        return sum(gap.end - gap.start for gap in self.gaps)


async def tiles(frames: AsyncGenerator[Frame, None], offset: int = 0) -> Tiles:
    """Returns what a whole read gave out.

    Raises:
        AssertionError: If it isn't exact, or has no end.
    """
    read = Tiles(offset)
    async with aclosing(frames):
        async for frame in frames:
            read.add(frame)
    assert read.end is not None
    return read


@dataclass(frozen=True)
class LogBench:
    """Readers of one running job, whose stdout the test writes, and whose end it says."""

    job: Job
    log: Path
    logs: OutputLogs
    store: MemoryJobStore
    bus: MessageBus
    readers: LogReaders

    def read(
        self, *, offset: int = 0, tail_lines: int | None = None, limit: int = 0, follow: bool = False
    ) -> AsyncGenerator[Frame, None]:
        """Begins to read the job's stdout."""
        return self.readers.read(self.job, "stdout", offset=offset, tail_lines=tail_lines, limit=limit, follow=follow)

    async def end(self) -> Job:
        """Has the job end with what is written by now, and returns it."""
        size = self.logs.size(self.job.id, "stdout")
        job = self.job.with_sizes(size, 0).ended(Exited(0), datetime.now(UTC))
        await self.store.replace(job)
        self.bus.publish(stream_channel(job.id, "stdout"), Closed(size))
        return job


@asynccontextmanager
async def log_bench(directory: Path) -> AsyncIterator[LogBench]:
    """Makes a job that runs and has written nothing.

    Args:
        directory: Where its logs are made.
    """
    store, bus = MemoryJobStore(), MessageBus()
    job = Job(id="0123abcd-4567-4890-abcd-ef0123456789", command=("x",), start_time=datetime.now(UTC))
    await store.add(job)
    async with Inotify() as inotify:
        logs = OutputLogs(directory, inotify, bus)
        log = directory / f"{job.id}.stdout"
        log.touch()
        log.with_suffix(".stderr").touch()
        yield LogBench(job, log, logs, store, bus, LogReaders(store, logs, bus))


def settle(limits: LogLimits | RunningLogs) -> None:
    """Does what a loop does with the limits, until there is nothing more to do."""
    poll = select.poll()
    poll.register(limits.fileno(), select.POLLIN)
    while poll.poll(0) or limits.timeout() is not None:
        turn(limits, poll)


def turn(limits: LogLimits | RunningLogs, others: select.poll) -> set[int]:
    """Waits until something is to be done, does what the limits have to, and returns the descriptors that are ready.

    Args:
        limits: The limits.
        others: What to wait at, the limits' descriptor among it.
    """
    timeout = limits.timeout()
    ready = {descriptor for descriptor, _ in others.poll(None if timeout is None else timeout * 1000 + 1)}
    if limits.fileno() in ready:
        limits.receive()
    limits.check()
    return ready
