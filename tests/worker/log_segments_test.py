"""Logs in segments: as exact as any other, in a disk space that is as bounded, where no holes can be punched."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobworker.supervisor.log_segments import SegmentWriter
from jobworker.supervisor.running_logs import RETRY_SECONDS, RunningLogs
from jobworker.worker import JobDeletedError, LogData, LogEnd, LogGap
from log_support import WRITE_PATTERN, LogBench, Tiles, log_bench, pattern, settle, tiles
from worker_support import descriptors_of, granted, leaves_nothing, library_environment, python

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

KIBIBYTE = 1 << 10
LIMIT = 1 << 20
SEGMENT = LIMIT // 8
PERIOD = 1_048_573


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[LogBench]:
    """A running job without a log yet, and its readers; they leave nothing behind."""
    async with leaves_nothing(), log_bench(tmp_path) as made:
        made.log.unlink()
        yield made


class Pipe:
    """A log in segments with the job's end of its pipe."""

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        """Creates the log."""
        self.path = path
        self.log = SegmentWriter(str(path), limit)
        self.stdout = self.log.take_writing_end()
        self.written = 0

    def write(self, length: int) -> None:
        """Writes the pattern's next bytes as the job, and has all of them moved."""
        while length:
            count = os.write(self.stdout, pattern(self.written, min(length, 64 * KIBIBYTE)))
            assert self.log.pump()
            self.written += count
            length -= count

    def close(self) -> None:
        """Ends the job, as it were."""
        os.close(self.stdout)

    def segments(self) -> dict[int, int]:
        """Returns the sizes of the segments that are there, by their offset."""
        return {int(path.name): path.stat().st_size for path in sorted(self.path.iterdir(), key=lambda p: int(p.name))}


@pytest.fixture
def pipe(bench: LogBench) -> Iterator[Pipe]:
    """The job's log, in segments of 128 KiB."""
    made = Pipe(bench.log)
    yield made
    made.close()
    made.log.finish()


async def test_all_that_is_written_is_read(bench: LogBench, pipe: Pipe) -> None:
    """Across segments, from anywhere in them."""
    pipe.write(LIMIT)
    assert pipe.segments() == dict.fromkeys(range(0, LIMIT, SEGMENT), SEGMENT)
    assert bench.logs.size(bench.job.id, "stdout") == LIMIT
    for offset in (0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, LIMIT - 1, LIMIT):
        read = await tiles(bench.read(offset=offset), offset)
        assert (read.offset, read.gaps) == (LIMIT, [])


async def test_the_oldest_segments_are_removed(bench: LogBench, pipe: Pipe) -> None:
    """The limit is kept, and little more; readers are told what is gone."""
    for _ in range(30):
        pipe.write(100_000)
        kept = pipe.segments()
        assert sum(kept.values()) <= LIMIT + SEGMENT
        assert sum(kept.values()) >= min(pipe.written, LIMIT)
    first = next(iter(kept))
    read = await tiles(bench.read())
    assert (read.gaps, read.offset) == ([LogGap(0, first)], 3_000_000)
    lines = await tiles(bench.read(tail_lines=1 << 40))
    assert (lines.gaps, lines.offset) == ([LogGap(0, first)], 3_000_000)
    assert (await tiles(bench.read(offset=first), first)).gaps == []


async def test_a_follower_gets_what_comes(bench: LogBench, pipe: Pipe) -> None:
    """Also what comes in a new segment; with a gap where it was too slow."""
    follower, read = bench.read(follow=True), Tiles()
    for _ in range(5):
        waiting = asyncio.ensure_future(anext(follower))
        await asyncio.sleep(0)
        pipe.write(SEGMENT)
        read.add(await waiting)
    assert read.gaps == []
    pipe.write(2 * LIMIT)
    ended = await bench.end()
    async for frame in follower:
        read.add(frame)
    assert [gap.end for gap in read.gaps] == [next(iter(pipe.segments()))]
    assert read.end == LogEnd(5 * SEGMENT + 2 * LIMIT, ended)


async def test_a_job_may_write_faster_than_anybody_reads(bench: LogBench, pipe: Pipe) -> None:
    """Every byte is given or told to be gone."""
    fast = [asyncio.ensure_future(tiles(bench.read(follow=True))) for _ in range(3)]
    writer = await asyncio.create_subprocess_exec(*python(WRITE_PATTERN, "32"), stdout=pipe.stdout)
    loop = asyncio.get_running_loop()
    all_moved = asyncio.Event()
    os.close(pipe.stdout)

    def pump() -> None:
        if not pipe.log.pump():
            loop.remove_reader(pipe.log)
            all_moved.set()

    loop.add_reader(pipe.log, pump)
    await all_moved.wait()
    assert await writer.wait() == 0
    pipe.stdout = os.open(os.devnull, os.O_RDONLY)
    ended = await bench.end()
    for read in await asyncio.gather(*fast):
        assert read.end == LogEnd(32 * PERIOD, ended)
        assert read.data_bytes + read.gap_bytes == 32 * PERIOD


async def test_deleting_removes_all_segments(bench: LogBench, pipe: Pipe) -> None:
    """Readers end as those of any log."""
    pipe.write(LIMIT)
    follower = bench.read(follow=True)
    assert await anext(follower) == LogData(0, pattern(0, SEGMENT))
    bench.readers.end_job(bench.job.id)
    bench.logs.remove(bench.job.id)
    with pytest.raises(JobDeletedError):
        await anext(follower)
    assert not bench.log.exists()
    assert bench.logs.size(bench.job.id, "stdout") == 0


def test_the_end_takes_what_the_pipe_holds(tmp_path: Path) -> None:
    """And no more: who has left the job and writes on is not waited for."""
    pipe = Pipe(tmp_path / "log")
    assert os.write(pipe.stdout, b"left") == 4
    assert pipe.log.finish() == 4
    with pytest.raises(BrokenPipeError):
        os.write(pipe.stdout, b"late")
    pipe.close()
    assert pipe.segments() == {0: 4}


def test_the_pipes_end_is_told(tmp_path: Path) -> None:
    """A job may close its stdout long before its end."""
    pipe = Pipe(tmp_path / "log")
    pipe.write(3)
    assert pipe.log.pump()
    pipe.close()
    assert not pipe.log.pump()
    assert pipe.log.finish() == 3


@contextmanager
def disk_refuses() -> Iterator[None]:
    """Has this process's writes to files fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_the_disk_refuses_is_kept(tmp_path: Path) -> None:
    """It is written when there is room."""
    pipe = Pipe(tmp_path / "log")
    pipe.write(3)
    os.write(pipe.stdout, pattern(3, 1000))
    for _ in range(2):
        with disk_refuses(), pytest.raises(OSError, match="File too large"):
            pipe.log.pump()
    assert pipe.log.pump()
    assert (pipe.path / "0").read_bytes() == pattern(0, 1003)
    os.write(pipe.stdout, b"lost")
    with disk_refuses():
        assert pipe.log.finish() == 1003
    pipe.close()


def test_a_log_that_cannot_be_created_leaves_nothing(tmp_path: Path) -> None:
    """Something is there already, or there are no descriptors left, at whichever step."""
    (tmp_path / "log").touch()
    with pytest.raises(FileExistsError):
        SegmentWriter(str(tmp_path / "log"), LIMIT)
    (tmp_path / "log").unlink()
    before = descriptors_of(os.getpid())
    old = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    failures = 0
    for limit in range(3, highest + 9):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, old[1]))
        try:
            made = SegmentWriter(str(tmp_path / "log"), LIMIT)
        except OSError:
            failures += 1
        else:
            break
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, old)
        assert [path.name for path in tmp_path.iterdir()] == ["tmp"]
        assert descriptors_of(os.getpid()) == before
    assert failures > 1
    made.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["tmp"]
    assert descriptors_of(os.getpid()) == before


@pytest.fixture
def logs() -> Iterator[RunningLogs]:
    """Running jobs' logs, of up to a mebibyte."""
    made = RunningLogs()
    made.limit = LIMIT
    yield made
    made.close()


def test_where_holes_can_be_punched_a_log_is_a_file(logs: RunningLogs, tmp_path: Path) -> None:
    """Which the job writes to by itself; its end tells its size, and it keeps to the limit."""
    path = tmp_path / "log"
    descriptor = logs.create(str(path))
    for period in range(4):
        os.write(descriptor, pattern(period * PERIOD, PERIOD))
    settle(logs)
    os.close(descriptor)
    assert logs.finish(str(path)) == 4 * PERIOD == path.stat().st_size
    assert path.stat().st_blocks * 512 <= LIMIT + 4096
    with pytest.raises(FileExistsError):
        logs.create(str(path))
    other = tmp_path / "other"
    os.close(logs.create(str(other)))
    logs.discard(str(other))
    assert not other.exists()
    os.close(logs.create(str(other)))
    other.unlink()
    assert logs.finish(str(other)) == 0


ON_RAMFS = """
import asyncio, os, subprocess, sys
from pathlib import Path
from jobworker.supervisor.fallocate import can_punch
from jobworker.supervisor.running_logs import RunningLogs
from jobworker.worker import LogEnd, LogGap
from log_support import *
from worker_support import python, leaves_nothing

async def main(directory):
    assert not can_punch(directory)
    async with log_bench(Path(directory)) as bench:
        bench.log.unlink()
        logs = RunningLogs()
        logs.limit = 0
        os.close(logs.create(directory + "/whole"))
        assert os.path.isfile(directory + "/whole")
        logs.limit = 1 << 20
        with open(directory + "/whole", "wb") as file:
            file.write(bytes(2 << 20))
        settle(logs)
        assert os.listdir(directory).count("whole.released") == 0
        assert logs.finish(directory + "/whole") == 2 << 20
        refused = logs.create(directory + "/refused")
        os.close(refused)
        logs.discard(directory + "/refused")
        assert not os.path.exists(directory + "/refused")
        stdout = logs.create(str(bench.log))
        reading = asyncio.ensure_future(tiles(bench.read(follow=True)))
        writer = await asyncio.create_subprocess_exec(*python(WRITE_PATTERN, "16"), stdout=stdout)
        os.close(stdout)
        loop = asyncio.get_running_loop()
        loop.add_reader(logs, logs.receive)
        assert await writer.wait() == 0
        loop.remove_reader(logs)
        assert logs.finish(str(bench.log)) == 16 * 1_048_573
        ended = await bench.end()
        read = await reading
        assert read.end == LogEnd(16 * 1_048_573, ended)
        assert read.data_bytes + read.gap_bytes == ended.stdout_bytes
        assert sum(path.stat().st_size for path in bench.log.iterdir()) <= (1 << 20) + (1 << 17)
        logs.close()

asyncio.run(main(sys.argv[1]))
"""


def test_where_no_holes_can_be_punched_it_is_in_segments(tmp_path: Path) -> None:
    """As on a ramfs, which can do little; but for logs without a limit, which need no holes."""
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    mount = 'mount -t ramfs none "$1" && shift && exec "$@"'
    disk = tmp_path / "disk"
    disk.mkdir()
    under = granted("unshare", *user, "--mount", "sh", "-c", mount, "sh", str(disk))
    command = [*under, sys.executable, "-c", ON_RAMFS, str(disk)]
    ended = subprocess.run(command, env=library_environment(), capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_refused_output_is_offered_again(tmp_path: Path) -> None:
    """After a pause, since the disk tells nobody when it has room; until then the loop may sleep."""
    logs = RunningLogs()
    logs.limit = LIMIT
    path = str(tmp_path / "log")
    writer = SegmentWriter(path, LIMIT)
    logs._segmented[path] = writer
    logs._poll(writer)
    stdout = writer.take_writing_end()
    os.write(stdout, b"output")
    with disk_refuses():
        logs.receive()
    assert 0 < (logs.timeout() or 0) <= RETRY_SECONDS
    logs.check()
    assert logs.timeout() is not None
    settle(logs)
    assert (tmp_path / "log" / "0").read_bytes() == b"output"
    os.close(stdout)
    settle(logs)
    assert logs.finish(path) == 6
    logs.close()
