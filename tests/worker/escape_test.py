"""Whoever writes to an ended job's output, as root could, changes nothing of what its readers get."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import Job, OffsetOutOfRangeError, Worker
from jobworker.worker.bus import QUEUE_LENGTH, stream_channel
from worker_support import contents, leaves_nothing, read_all, read_now, sh

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FINAL = b"before\n"


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    """An open worker with a state directory that the tests know."""
    async with leaves_nothing(), Worker(state_dir=tmp_path / "state") as made:
        yield made


def append(tmp_path: Path, job: Job, data: bytes) -> None:
    """Writes to a job's stdout as a process does that has it open still."""
    with (tmp_path / "state" / "logs" / f"{job.id}.stdout").open("ab", buffering=0) as log:
        log.write(data)


async def test_later_output_is_not_read(worker: Worker, tmp_path: Path) -> None:
    """The size is final: every reader ends there, and offsets beyond it are past the end."""
    job = await worker.wait((await worker.start(["echo", "before"])).id)
    append(tmp_path, job, b"after\n")
    assert [await read(worker, job.id) for read in (read_now, read_all)] == [FINAL, FINAL]
    assert (await worker.get(job.id)).stdout_bytes == len(FINAL)
    for read in (read_now, read_all):
        assert await read(worker, job.id, offset=len(FINAL)) == b""
        with pytest.raises(OffsetOutOfRangeError, match="has 7 bytes"):
            await read(worker, job.id, offset=len(FINAL) + 1)


@pytest.mark.parametrize("writes", [1, QUEUE_LENGTH + 9])
async def test_a_slow_follower_ends_at_the_final_size(worker: Worker, tmp_path: Path, writes: int) -> None:
    """Though the file has grown since, and though so much news came that the end's own was lost."""
    job = await worker.start(sh("echo before; exec sleep 1000"))
    slow, other = (contents(worker.read_logs(job.id, "stdout", follow=True)) for _ in range(2))
    assert [await anext(slow), await anext(other)] == [FINAL, FINAL]
    async with worker.bus.subscribe(stream_channel(job.id, "stdout")) as news:
        await worker.stop(job.id)
        await anext(news)
        for _ in range(writes):
            append(tmp_path, job, b"after\n")
            await anext(news)
    async with asyncio.timeout(9):
        assert [[chunk async for chunk in follower] for follower in (slow, other)] == [[], []]
