"""A process that has left its job's process group changes nothing of a job that has ended."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import Job, OffsetOutOfRangeError, Worker
from jobworker.worker.bus import QUEUE_LENGTH, stream_channel
from jobworker_testing import ProcessHandle
from worker_support import contents, leaves_nothing, python, read_all, read_lines, read_now, sh

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from worker_support import Gate

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


@pytest.mark.parametrize("leave", ["os.setsid()", "os.setpgid(0, 0)", "os.setsid(); os.fork() and os._exit(0)"])
async def test_an_escaped_process_ends_with_the_worker(gate: Gate, leave: str) -> None:
    """It outlives its job, as is documented, but comes back to the supervisor and is killed with it."""
    escape = f"import os, time; {leave}; print(os.getpid(), flush=True); time.sleep(1000)"
    async with leaves_nothing():
        with ExitStack() as stack:
            async with Worker() as worker:
                job = await worker.start(sh(f'"$@" & read -r _ < {gate.path}', *python(escape)))
                escaped = stack.enter_context(ProcessHandle(int((await read_lines(worker, job.id))[0])))
                gate.open()
                assert (await worker.wait(job.id)).exit_code == 0
                assert not escaped.has_exited()
            assert escaped.has_exited()


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
