"""A thousand followers at once: each gets every byte, they hold little memory together, and none waits for another."""

from __future__ import annotations

import asyncio
import os
import sys
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import LogData, LogEnd
from jobworker.worker.log_files import WholeLog
from jobworker.worker.reader import IN_FLIGHT_BYTES
from log_support import WRITE_PATTERN, Tiles, tiles
from worker_support import descriptors_of, python, read_lines, sh, watches_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker.worker import Worker
    from worker_support import Gate

FOLLOWERS = 1000
PERIOD = 1_048_573
# What a follower holds beside its frame, with the task and the generators that read: at most.
EACH_BYTES = 16 << 10


@pytest.fixture
def _traced() -> Iterator[None]:
    """Has Python count the memory that it takes."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


class Holders:
    """Followers that each hold a frame of the pattern until all do."""

    def __init__(self, worker: Worker, job_id: str, count: int) -> None:
        """Prepares `count` followers of a job's stdout."""
        self._worker = worker
        self._job_id = job_id
        self._missing = count
        self.all_hold = asyncio.Event()
        self.go_on = asyncio.Event()

    async def follow(self) -> Tiles:
        """Follows to the end."""
        read = Tiles()
        async for frame in self._worker.read_logs(self._job_id, "stdout", follow=True):
            if not read.offset:
                self._missing -= 1
                if not self._missing:
                    self.all_hold.set()
                await self.go_on.wait()
            read.add(frame)
        return read


@pytest.mark.usefixtures("_traced")
async def test_a_thousand_follow_one_job(worker: Worker, gate: Gate) -> None:
    """With one descriptor and one watch, and, when each holds a frame, no more memory than was set for all of them."""
    wait = f"read -r _ < {gate.path}; "
    job = await worker.start(sh(wait + '"$@"; ' + wait, *python(WRITE_PATTERN, "2")))
    holders = Holders(worker, job.id, FOLLOWERS)
    before, _ = tracemalloc.get_traced_memory()
    async with asyncio.TaskGroup() as tasks:
        followers = [tasks.create_task(holders.follow()) for _ in range(FOLLOWERS)]
        await asyncio.sleep(0)
        gate.open()
        await holders.all_hold.wait()
        _, peak = tracemalloc.get_traced_memory()
        assert sum(path.endswith(f"{job.id}.stdout") for path in descriptors_of(os.getpid())) == 1
        assert watches_of(os.getpid()) == 1
        holders.go_on.set()
        gate.open()
    assert peak - before < IN_FLIGHT_BYTES + FOLLOWERS * EACH_BYTES
    for follower in followers:
        read = follower.result()
        assert (read.offset, read.data_bytes, read.gaps) == (2 * PERIOD, 2 * PERIOD, [])


async def test_two_hundred_jobs_are_followed_at_once(worker: Worker, gate: Gate) -> None:
    """Five each; every follower gets its own job's output, all of it."""
    script = f'read -r _ < {gate.path}; n=0; while [ $n -lt 50 ]; do echo "$1 $n"; n=$((n+1)); done'
    jobs = [await worker.start(sh(script, str(number))) for number in range(200)]

    async def follow(job_id: str) -> bytes:
        frames = worker.read_logs(job_id, "stdout", follow=True)
        return b"".join([frame.data async for frame in frames if isinstance(frame, LogData)])

    async with asyncio.TaskGroup() as tasks:
        followers = [tasks.create_task(follow(job.id)) for job in jobs for _ in range(5)]
        await asyncio.sleep(0)
        assert watches_of(os.getpid()) == 200
        for _ in jobs:
            gate.open()
    for index, follower in enumerate(followers):
        assert follower.result() == b"".join(b"%d %d\n" % (index // 5, n) for n in range(50))


async def test_followers_that_stop_reading_harm_nobody(worker: Worker, gate: Gate) -> None:
    """The job writes on and ends, other followers get everything, and so do they, once they read on."""
    job = await worker.start(sh(f'read -r _ < {gate.path}; "$@"', *python(WRITE_PATTERN, "4")))
    holders = Holders(worker, job.id, FOLLOWERS // 2)
    async with asyncio.TaskGroup() as tasks:
        stopped = [tasks.create_task(holders.follow()) for _ in range(FOLLOWERS // 2)]
        await asyncio.sleep(0)
        gate.open()
        await holders.all_hold.wait()
        assert (await tiles(worker.read_logs(job.id, "stdout", follow=True))).data_bytes == 4 * PERIOD
        assert (await worker.wait(job.id)).exit_code == 0
        other = await worker.start(sh("echo hi"))
        assert await read_lines(worker, other.id) == ["hi"]
        holders.go_on.set()
    assert {follower.result().data_bytes for follower in stopped} == {4 * PERIOD}


async def test_a_follower_that_waits_holds_no_frame(worker: Worker) -> None:
    """What it has given out is its taker's alone."""
    job = await worker.start(sh("echo hi; exec sleep 1000"))
    follower = worker.read_logs(job.id, "stdout", follow=True)
    frame = await anext(follower)
    waiting = asyncio.ensure_future(anext(follower))
    await asyncio.sleep(0)
    # The variable's, and the call's own.
    assert sys.getrefcount(frame) == 2
    await worker.stop(job.id)
    assert isinstance(await waiting, LogEnd)


async def test_a_follower_reads_once_for_each_frame(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of what there was it waits for news: a writer of many lines is not raced for each of them."""
    reads: list[int] = []
    read = WholeLog.read

    async def counted(log: WholeLog, offset: int, length: int) -> tuple[int, bytes]:
        first, data = await read(log, offset, length)
        reads.append(len(data))
        return first, data

    monkeypatch.setattr(WholeLog, "read", counted)
    job = await worker.start(sh("i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done"))
    frames = [frame async for frame in worker.read_logs(job.id, "stdout", follow=True)]
    assert b"".join(frame.data for frame in frames if isinstance(frame, LogData)) == b"".join(
        b"%d\n" % number for number in range(2000)
    )
    # The first may come before there is anything.
    assert all(reads[1:]), reads
