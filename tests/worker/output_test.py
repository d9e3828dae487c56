"""Output is exact to the byte, whoever reads it, from wherever, and whenever."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import JobState, Worker, WorkerClosedError
from worker_support import Gate, contents, python, read_all, read_lines, read_now, sh, watches_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

MEBIBYTE = 1 << 20
WRITE_BINARY = """
import hashlib, random, sys
generator, digest = random.Random(int(sys.argv[1])), hashlib.sha256()
for _ in range(int(sys.argv[2])):
    piece = generator.randbytes(1 << 20)
    digest.update(piece)
    sys.stdout.buffer.write(piece)
sys.stderr.write(digest.hexdigest())
"""


def reading(worker: Worker, job_id: str, *, offset: int = 0) -> AsyncGenerator[bytes, None]:
    """Begins to follow a job's stdout; to be closed by the caller."""
    return contents(worker.read_logs(job_id, "stdout", offset=offset, follow=True))


async def test_100_mebibytes_arrive_whole(worker: Worker) -> None:
    """The follower's SHA-256 is the one that the job computed, and the sizes are what was written."""
    job = await worker.start(python(WRITE_BINARY, "1", "100"))
    digest = hashlib.sha256()
    async for chunk in reading(worker, job.id):
        digest.update(chunk)
    assert await read_all(worker, job.id, "stderr") == digest.hexdigest().encode()
    ended = await worker.wait(job.id)
    assert (ended.stdout_bytes, ended.stderr_bytes) == (100 * MEBIBYTE, 64)


async def test_every_byte_is_kept_in_its_stream(worker: Worker) -> None:
    """All 256 values, newlines of every kind, and what one stream gets is not in the other."""
    every = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 9); sys.stderr.buffer.write(b'\\r\\n\\0' * 7)"
    job = await worker.start(python(every))
    assert await read_all(worker, job.id, "stdout") == bytes(range(256)) * 9
    assert await read_all(worker, job.id, "stderr") == b"\r\n\0" * 7


@pytest.mark.parametrize("text", ["", "no newline", "\n", "line\nrest"])
async def test_a_last_line_needs_no_newline(worker: Worker, text: str) -> None:
    """Nothing is added, nothing held back, and no output at all is an empty stream."""
    job = await worker.start(sh('printf %s "$1"', text))
    assert await read_all(worker, job.id) == text.encode()
    assert await read_now(worker, job.id) == text.encode()
    assert (await worker.get(job.id)).stdout_bytes == len(text)


async def test_fifty_followers_get_the_same(worker: Worker, gate: Gate) -> None:
    """Ten join before the first byte, ten after each of three pieces, ten after the end; all have all of it."""
    pieces = "import sys\n" + "open(sys.argv[3]).readline()\n".join(
        [WRITE_BINARY.replace("import ", "import sys, ")] * 3
    )
    job = await worker.start(python("import sys\nopen(sys.argv[3]).readline()\n" + pieces, "7", "1", gate.path))
    followers: list[asyncio.Task[bytes]] = []
    expected = random.Random(7).randbytes(MEBIBYTE) * 3  # noqa: S311 - the job's own
    watched = reading(worker, job.id)
    seen = 0
    async with asyncio.TaskGroup() as tasks:
        for piece in range(4):
            followers += [tasks.create_task(read_all(worker, job.id)) for _ in range(10)]
            while seen < piece * MEBIBYTE:
                seen += len(await anext(watched))
            gate.open()
        await worker.wait(job.id)
        followers += [tasks.create_task(read_all(worker, job.id)) for _ in range(10)]
    await watched.aclose()
    assert len(followers) == 50
    assert {hashlib.sha256(task.result()).digest() for task in followers} == {hashlib.sha256(expected).digest()}


async def test_followers_share_one_watch(worker: Worker) -> None:
    """The kernel is asked once a file, however many follow it, and no longer than somebody does."""
    before = watches_of(os.getpid())
    job = await worker.start(sh("echo ready; exec sleep 1000"))
    followers = [reading(worker, job.id) for _ in range(10)]
    for follower in followers:
        assert await anext(follower) == b"ready\n"
    assert watches_of(os.getpid()) == before + 1
    for follower in followers:
        await follower.aclose()
    assert watches_of(os.getpid()) == before


@pytest.mark.parametrize("offset", [0, 1, 5, 11, 12])
async def test_reading_begins_at_the_offset(worker: Worker, gate: Gate, offset: int) -> None:
    """While the job runs and after it, following or not, up to the very end."""
    job = await worker.start(sh(f"echo first; echo later; read -r _ < {gate.path}; echo last"))
    await read_lines(worker, job.id, 2)
    assert await read_now(worker, job.id, offset=offset) == b"first\nlater\n"[offset:]
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(read_all(worker, job.id, offset=offset))
        await asyncio.sleep(0)
        gate.open()
    whole = b"first\nlater\nlast\n"
    assert following.result() == whole[offset:]
    assert await read_now(worker, job.id, offset=offset) == whole[offset:]


async def test_a_reader_of_now_does_not_wait(worker: Worker) -> None:
    """Without following, what is there is all, though the job runs."""
    job = await worker.start(sh("echo ready; exec sleep 1000"))
    await read_lines(worker, job.id)
    assert await read_now(worker, job.id) == b"ready\n"
    assert (await worker.get(job.id)).state is JobState.RUNNING


async def test_a_follower_gets_output_as_it_comes(worker: Worker, gate: Gate) -> None:
    """Each line before the job goes on to write the next."""
    job = await worker.start(sh(f"for n in 1 2 3; do echo $n; read -r _ < {gate.path}; done"))
    follower = reading(worker, job.id)
    for number in (b"1\n", b"2\n", b"3\n"):
        assert await anext(follower) == number
        gate.open()
    assert [chunk async for chunk in follower] == []


async def test_a_follower_that_never_reads_slows_nobody(worker: Worker) -> None:
    """The job writes all it has and ends, others read it, and the sleeper finds everything when it wakes."""
    job = await worker.start(sh("echo ready; head -c 20M /dev/zero"))
    sleeper = reading(worker, job.id)
    first = await anext(sleeper)
    ended = await worker.wait(job.id)
    assert (ended.state, ended.stdout_bytes) == (JobState.SUCCEEDED, 6 + 20 * MEBIBYTE)
    assert len(await read_all(worker, job.id)) == ended.stdout_bytes
    rest = [chunk async for chunk in sleeper]
    assert len(first) + sum(map(len, rest)) == ended.stdout_bytes


async def test_a_stream_closed_early_ends_with_the_job(worker: Worker, gate: Gate) -> None:
    """The other stream goes on; a follower of the closed one waits for the job's end and no longer."""
    job = await worker.start(sh(f"echo out; exec >&-; echo err >&2; read -r _ < {gate.path}; echo more >&2"))
    stderr = contents(worker.read_logs(job.id, "stderr", follow=True))
    assert await anext(stderr) == b"err\n"
    async with asyncio.TaskGroup() as tasks:
        stdout = tasks.create_task(read_all(worker, job.id))
        gate.open()
    assert stdout.result() == b"out\n"
    assert [chunk async for chunk in stderr] == [b"more\n"]


async def test_sizes_are_final_though_processes_were_left_writing(worker: Worker, gate: Gate) -> None:
    """What the first process leaves behind is killed at once: job, file and followers agree on the size."""
    job = await worker.start(sh(f"yes >&2 & yes & read -r _ < {gate.path}"))
    followers = [asyncio.ensure_future(read_all(worker, job.id, stream)) for stream in ("stdout", "stderr")]
    await anext(follower := reading(worker, job.id))
    await follower.aclose()
    gate.open()
    ended = await worker.wait(job.id)
    sizes = [ended.stdout_bytes, ended.stderr_bytes]
    assert [len(await follower) for follower in followers] == sizes
    assert [len(await read_now(worker, job.id, stream)) for stream in ("stdout", "stderr")] == sizes


async def test_a_job_that_truncates_its_log_ends_its_followers(worker: Worker, gate: Gate) -> None:
    """It harms what it wrote itself, and nothing else: a follower that was further on gets the end, not an error."""
    truncate = (
        "import os, sys\nos.write(1, b'before')\nopen(sys.argv[1]).readline()\nos.ftruncate(1, 0)\nos.write(1, b'x')"
    )
    job = await worker.start(python(truncate, gate.path))
    follower = reading(worker, job.id)
    assert await anext(follower) == b"before"
    gate.open()
    assert [chunk async for chunk in follower] == []
    assert await read_all(worker, job.id) == b"x"


async def test_closing_ends_followers(worker: Worker) -> None:
    """With an error that says so, after what was read; the jobs are not asked."""
    job = await worker.start(sh("echo ready; exec sleep 1000"))
    follower = reading(worker, job.id)
    assert await anext(follower) == b"ready\n"
    waiting = asyncio.ensure_future(anext(follower))
    await asyncio.sleep(0)
    worker.stop_reading()
    with pytest.raises(WorkerClosedError):
        await waiting
    with pytest.raises(WorkerClosedError):
        await read_now(worker, job.id)
    assert (await worker.get(job.id)).state is JobState.RUNNING
