"""Readers of a log whose oldest output is released: every byte is given or told to be gone, once, and in order."""

from __future__ import annotations

import asyncio
import os
import select
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from jobworker.supervisor.log_limits import LogLimits
from jobworker.supervisor.released import first_kept
from jobworker.worker import JobDeletedError, LogData, LogEnd, LogGap, Lost, OffsetOutOfRangeError, StateDirectoryError
from jobworker.worker.inotify import Inotify
from jobworker.worker.log_files import CHUNK_BYTES
from jobworker.worker.output import OutputLogs
from jobworker.worker.reader import IN_FLIGHT_BYTES, LEAST_CHUNK_BYTES
from log_support import WRITE_PATTERN, LogBench, Tiles, append, log_bench, pattern, settle, tiles, turn
from worker_support import descriptors_of, leaves_nothing, python

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator
    from pathlib import Path

    from jobworker.worker import Frame

MEBIBYTE = 1 << 20
LIMIT = 128 << 10


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[LogBench]:
    """A running job and its readers, which leave nothing behind."""
    async with leaves_nothing(), log_bench(tmp_path) as made:
        yield made


@pytest.fixture
def limits(bench: LogBench) -> Iterator[LogLimits]:
    """What keeps the job's stdout within 128 KiB, when it is told to."""
    made = LogLimits()
    made.limit = LIMIT
    made.watch(str(bench.log))
    yield made
    made.close()


@pytest.fixture
def released(bench: LogBench, limits: LogLimits) -> int:
    """The first byte that is kept of the mebibyte that the job has written."""
    append(bench.log, MEBIBYTE)
    settle(limits)
    assert first_kept(str(bench.log)) == MEBIBYTE - LIMIT
    return MEBIBYTE - LIMIT


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("before", [MEBIBYTE - LIMIT, MEBIBYTE, 1, 0, -1, -LIMIT])
async def test_a_read_of_released_bytes_begins_with_a_gap(
    bench: LogBench, released: int, before: int, *, follow: bool
) -> None:
    """Up to the first byte that is kept; from there on, none."""
    offset = max(0, released - before)
    ended = await bench.end()
    read = await tiles(bench.read(offset=offset, follow=follow), offset)
    assert read.gaps == ([LogGap(offset, released)] if offset < released else [])
    assert read.end == LogEnd(MEBIBYTE, ended)


@pytest.mark.usefixtures("released")
async def test_an_offset_past_the_end_is_still_refused(bench: LogBench) -> None:
    """What was released counts to the size."""
    with pytest.raises(OffsetOutOfRangeError, match="has 1048576 bytes"):
        await tiles(bench.read(offset=MEBIBYTE + 1))


async def test_a_slow_follower_gets_a_gap_in_the_middle(bench: LogBench, limits: LogLimits) -> None:
    """What it has is not repeated, what went meanwhile is told, and it reads on where there is something."""
    append(bench.log, LIMIT)
    slow, read = bench.read(follow=True), Tiles()
    for _ in range(3):
        read.add(await anext(slow))
        append(bench.log, MEBIBYTE)
        settle(limits)
    await bench.end()
    async for frame in slow:
        read.add(frame)
    assert read.gaps == [
        LogGap(LIMIT, MEBIBYTE),
        LogGap(MEBIBYTE, 2 * MEBIBYTE),
        LogGap(2 * MEBIBYTE, 3 * MEBIBYTE),
    ]
    assert (read.offset, read.data_bytes) == (LIMIT + 3 * MEBIBYTE, 2 * LIMIT)


async def test_a_read_of_now_ends_where_it_was_meant_to(bench: LogBench, limits: LogLimits) -> None:
    """Though all up to there has been released since it began."""
    append(bench.log, LIMIT + MEBIBYTE)
    reading, read = bench.read(), Tiles()
    read.add(await anext(reading))
    append(bench.log, MEBIBYTE)
    settle(limits)
    async for frame in reading:
        read.add(frame)
    assert (read.offset, read.data_bytes, read.gaps) == (
        LIMIT + MEBIBYTE,
        512 << 10,
        [LogGap(512 << 10, LIMIT + MEBIBYTE)],
    )


async def test_a_limit_counts_no_gaps(bench: LogBench, released: int) -> None:
    """It says how many bytes of output to give."""
    read = await tiles(bench.read(limit=10))
    assert (read.gaps, read.data_bytes, read.offset) == ([LogGap(0, released)], 10, released + 10)


@contextmanager
def kept(limits: LogLimits) -> Iterator[None]:
    """Keeps logs within their limits while its body runs, as the supervisor's loop does."""
    woken, wake = os.pipe()
    poll = select.poll()
    poll.register(limits.fileno(), select.POLLIN)
    poll.register(woken, select.POLLIN)

    def loop() -> None:
        while woken not in turn(limits, poll):
            pass

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        os.write(wake, b"x")
        thread.join()
        os.close(wake)
        os.close(woken)


async def lag(frames: AsyncGenerator[Frame, None], steps: asyncio.Semaphore) -> Tiles:
    """Reads a frame a step, and all that is left after the steps' end."""
    read = Tiles()
    async for frame in frames:
        read.add(frame)
        await steps.acquire()
    return read


async def test_a_job_may_write_faster_than_anybody_reads(bench: LogBench, limits: LogLimits) -> None:
    """Fast and slow followers get exact bytes and gaps that make up the whole stream; the job never waits."""
    periods = 96
    steps = asyncio.Semaphore(0)
    slow = [asyncio.ensure_future(lag(bench.read(follow=True), steps)) for _ in range(3)]
    fast = [asyncio.ensure_future(tiles(bench.read(follow=True))) for _ in range(3)]
    with bench.log.open("ab") as stdout, kept(limits):
        writer = await asyncio.create_subprocess_exec(*python(WRITE_PATTERN, str(periods)), stdout=stdout)
        reading, watched, frames = bench.read(follow=True), Tiles(), 0
        while watched.offset < periods * len(pattern(0, 1_048_573)):
            watched.add(await anext(reading))
            frames += 1
            # To three readers together: however large a frame is by then, they can't keep up.
            if frames % 16 == 0:
                steps.release()
        assert await writer.wait() == 0
        limits.forget(str(bench.log))
    ended = await bench.end()
    for _ in range(1000):
        steps.release()
    for read in [*(await asyncio.gather(*fast)), *(await asyncio.gather(*slow))]:
        assert read.end == LogEnd(periods * 1_048_573, ended)
        assert read.data_bytes + read.gap_bytes == ended.stdout_bytes
    await reading.aclose()
    assert bench.log.stat().st_blocks * 512 <= LIMIT + 4096
    assert all(read.result().gaps for read in slow)


async def test_what_only_the_disk_has_is_read_too(bench: LogBench, released: int) -> None:
    """Forwards and backwards, and so is what is gone."""
    with bench.log.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    for frames in (bench.read(), bench.read(tail_lines=1 << 40)):
        read = await tiles(frames)
        assert (read.gaps, read.data_bytes) == ([LogGap(0, released)], MEBIBYTE - released)


async def test_readers_share_a_descriptor(bench: LogBench) -> None:
    """However many there are: their offsets are their own."""
    append(bench.log, MEBIBYTE)
    readings = [bench.read(offset=offset) for offset in range(100)]
    for offset, reading in enumerate(readings):
        assert await anext(reading) == LogData(offset, pattern(offset, 512 << 10))
    assert descriptors_of(os.getpid()).count(str(bench.log)) == 1
    for reading in readings:
        await reading.aclose()
    assert descriptors_of(os.getpid()).count(str(bench.log)) == 0


async def test_the_frames_of_many_readers_are_smaller(bench: LogBench) -> None:
    """So that what they hold together is bounded; once they have let go, each gets the largest again."""
    append(bench.log, MEBIBYTE)
    readings = [bench.read() for _ in range(1000)]
    sizes = []
    for reading in readings:
        frame = await anext(reading)
        assert isinstance(frame, LogData)
        sizes.append(len(frame.data))
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1]) == (CHUNK_BYTES, LEAST_CHUNK_BYTES)
    assert sum(sizes) <= IN_FLIGHT_BYTES + 1000 * LEAST_CHUNK_BYTES
    for reading in readings[:-1]:
        await reading.aclose()
    assert await anext(readings[-1]) == LogData(sizes[-1], pattern(sizes[-1], CHUNK_BYTES))
    await readings[-1].aclose()


@pytest.mark.parametrize("follow", [False, True])
async def test_deleting_a_job_ends_its_readers(bench: LogBench, *, follow: bool) -> None:
    """At their next step, and at once where they wait; nothing of what is gone is read."""
    append(bench.log, MEBIBYTE)
    between = bench.read(follow=follow)
    assert await anext(between) == LogData(0, pattern(0, 512 << 10))
    waiting = bench.read(offset=MEBIBYTE, follow=True)
    waits = asyncio.ensure_future(anext(waiting))
    await asyncio.sleep(0)
    bench.readers.end_job(bench.job.id)
    bench.logs.remove(bench.job.id)
    for read in (waits, anext(between)):
        with pytest.raises(JobDeletedError, match=bench.job.id):
            await read


async def test_a_job_that_is_being_deleted_has_no_readers(bench: LogBench) -> None:
    """Though it is in the store still; and it has them again if the deletion comes to nothing."""
    append(bench.log, 3)
    waiting = asyncio.ensure_future(anext(bench.read(offset=3, follow=True)))
    await asyncio.sleep(0)
    with bench.readers.deleting(bench.job.id):
        for read in (waiting, anext(bench.read())):
            with pytest.raises(JobDeletedError):
                await read
    assert (await tiles(bench.read())).offset == 3


async def test_a_job_that_is_gone_from_the_store_is_deleted(bench: LogBench) -> None:
    """Whoever deletes it need not be who ends the readers."""
    other = replace(bench.job, id=bench.job.id.replace("0", "1"))
    with pytest.raises(JobDeletedError):
        await anext(bench.readers.read(other, "stdout", follow=False))


async def test_other_jobs_readers_go_on(bench: LogBench) -> None:
    """When a job is deleted."""
    append(bench.log, 3)
    bench.readers.end_job("another")
    assert (await tiles(bench.read())).offset == 3


async def test_removing_leaves_nothing_of_a_job(bench: LogBench, released: int) -> None:
    """Its logs and their sidecars go, and only they; to remove them again does nothing."""
    assert released
    bench.log.with_name(f"{bench.log.name}.released.new").symlink_to("1")
    other = bench.log.with_name("another.stdout")
    other.touch()
    for _ in range(2):
        bench.logs.remove(bench.job.id)
    assert sorted(path.name for path in bench.log.parent.iterdir()) == ["another.stdout", "tmp"]
    assert bench.logs.size(bench.job.id, "stdout") == 0


@pytest.mark.parametrize("size", [0, 64 << 10, (64 << 10) + 1])
async def test_small_logs_are_removed_at_once(bench: LogBench, size: int) -> None:
    """With all that is beside them; larger ones are moved, and removed later."""
    append(bench.log, size)
    bench.log.with_name(f"{bench.log.name}.released").symlink_to("1")
    left = bench.logs.discard(await bench.end())
    assert (left is None) == (size <= 64 << 10)
    assert bench.logs.discarded() == [left] * (left is not None)
    assert not any(path.name.startswith(bench.log.name) for path in bench.log.parent.iterdir())


async def test_small_logs_in_segments_are_moved(bench: LogBench) -> None:
    """Being directories, which take longer."""
    bench.log.unlink()
    bench.log.mkdir()
    (bench.log / "0").write_bytes(b"abc")
    left = bench.logs.discard(await bench.end())
    assert left is not None
    assert bench.logs.discarded() == [left]
    bench.logs.empty(left)
    assert bench.logs.discarded() == []


async def test_logs_that_cannot_be_removed_are_said(bench: LogBench) -> None:
    """Their directory is none, say."""
    logs = OutputLogs(bench.log, Inotify(), bench.bus)
    with pytest.raises(StateDirectoryError, match="can't remove an output log: Not a directory"):
        logs.remove(bench.job.id)
    with pytest.raises(StateDirectoryError, match="can't remove an output log: Not a directory"):
        logs.discard(bench.job)


@pytest.mark.parametrize("follow", [False, True])
async def test_a_lost_job_without_logs_wrote_nothing(bench: LogBench, *, follow: bool) -> None:
    """Its start was cut off before there were any."""
    lost = bench.job.ended(Lost("the host was restarted"), bench.job.start_time)
    await bench.store.replace(lost)
    bench.logs.remove(lost.id)
    assert [frame async for frame in bench.read(follow=follow)] == [LogEnd(0, lost)]
    assert [frame async for frame in bench.read(follow=follow, tail_lines=3)] == [LogEnd(0, lost)]
    with pytest.raises(OffsetOutOfRangeError):
        await anext(bench.read(offset=1))


async def test_a_log_that_is_missing_is_said(bench: LogBench) -> None:
    """If there was something in it."""
    append(bench.log, 3)
    await bench.end()
    bench.log.unlink()
    with pytest.raises(StateDirectoryError, match="can't read the output log: No such file"):
        await anext(bench.read())


@pytest.mark.parametrize(("limit", "offset"), [(1, 0), (5, 0), (6, 0), (7, 0), (3, 4), (2, 6)])
@pytest.mark.parametrize("follow", [False, True])
async def test_a_limit_ends_a_read(bench: LogBench, limit: int, offset: int, *, follow: bool) -> None:
    """After that many bytes, or where the stream ends before; the end says where to read on, and how the job is."""
    append(bench.log, 6)
    if offset + limit > 6:
        await bench.end()
    read = await tiles(bench.read(offset=offset, limit=limit, follow=follow), offset)
    assert read.data_bytes == min(limit, 6 - offset)
    assert read.end == LogEnd(min(6, offset + limit), bench.logs.measured(await bench.store.find(bench.job.id)))
