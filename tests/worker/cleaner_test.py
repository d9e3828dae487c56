"""Finished jobs go when they are deleted, when there are too many, and when they are too old; with all they wrote."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import (
    Deleted,
    Job,
    JobDeletedError,
    JobNotFoundError,
    JobRunningError,
    KeepFinished,
    MessageBus,
    Worker,
)
from jobworker.worker.bus import output_channel, stream_channel
from worker_support import leaves_nothing, read_all, sh

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from worker_support import Gate

REQUEST = "00000000-0000-4000-8000-000000000000"


@asynccontextmanager
async def deletion_of(bus: MessageBus, job_id: str) -> AsyncIterator[None]:
    """Leaves its context once a job has been deleted."""
    async with bus.subscribe(output_channel(job_id)) as news:
        yield
        async for message in news:
            if isinstance(message, Deleted):
                return


async def finished(worker: Worker, script: str = "echo out; echo err >&2") -> Job:
    """Runs a job to its end."""
    return await worker.wait((await worker.start(sh(script))).id)


def files_of(state_dir: Path, job_id: str) -> list[str]:
    """Returns the names of all files below a state directory that are of a job."""
    return [path.name for path in state_dir.rglob("*") if job_id in str(path)]


async def test_a_deleted_job_is_gone(tmp_path: Path) -> None:
    """Its output too, and every other job stays; it is returned as it was."""
    async with leaves_nothing(), Worker(state_dir=tmp_path) as worker:
        job, other = await finished(worker), await finished(worker)
        assert sorted(files_of(tmp_path, job.id)) == [f"{job.id}.stderr", f"{job.id}.stdout"]
        assert await worker.delete(job.id) == job
        assert files_of(tmp_path, job.id) == []
        for call in (worker.get, worker.delete, worker.stop, worker.wait):
            with pytest.raises(JobNotFoundError):
                await call(job.id)
        assert (await worker.list()).jobs == (other,)
        assert await read_all(worker, other.id) == b"out\n"


async def test_a_running_job_is_not_deleted(worker: Worker) -> None:
    """It has to be stopped first; nothing of it is touched."""
    job = await worker.start(["sleep", "1000"])
    with pytest.raises(JobRunningError, match="stop it first"):
        await worker.delete(job.id)
    assert not (await worker.get(job.id)).state.is_final
    await worker.stop(job.id)
    await worker.delete(job.id)


async def test_a_deleted_jobs_request_may_come_again(worker: Worker) -> None:
    """It starts a new job then."""
    first = await worker.start(["true"], request_id=REQUEST)
    await worker.wait(first.id)
    await worker.delete(first.id)
    second = await worker.start(["true"], request_id=REQUEST)
    assert second.id != first.id


@pytest.mark.parametrize("follow", [False, True])
async def test_who_reads_a_deleted_job_is_told(worker: Worker, *, follow: bool) -> None:
    """In the middle of a long output, and not as if it had ended there."""
    job = await finished(worker, "head -c 4M /dev/zero")
    async with aclosing(worker.read_logs(job.id, "stdout", follow=follow)) as frames:
        await anext(frames)
        await worker.delete(job.id)
        with pytest.raises(JobDeletedError, match=job.id):
            async for _ in frames:
                pass


async def test_deletion_is_published_on_all_channels(worker: Worker) -> None:
    """Whoever has subscribed to one of the job's channels hears of it."""
    job = await finished(worker)
    channels = [output_channel(job.id), stream_channel(job.id, "stdout"), stream_channel(job.id, "stderr")]
    for channel in channels:
        other = await finished(worker)
        async with worker.bus.subscribe(channel.replace(job.id, other.id)) as news:
            await worker.delete(other.id)
            assert await anext(news) == Deleted()


async def test_the_oldest_finished_jobs_go_when_there_are_too_many(tmp_path: Path, gate: Gate) -> None:
    """Those that ended first, never one that runs, however old it is."""
    keep = KeepFinished(count=2, age=None)
    async with leaves_nothing(), Worker(state_dir=tmp_path, keep_finished=keep) as worker:
        running = await worker.start(sh(f"read -r _ < {gate.path}"))
        jobs = [await finished(worker) for _ in range(2)]
        for _ in range(3):
            async with deletion_of(worker.bus, jobs[-2].id):
                jobs.append(await finished(worker))
        kept = [jobs[-1].id, jobs[-2].id, running.id]
        assert [job.id for job in (await worker.list()).jobs] == kept
        assert [files_of(tmp_path, job.id) for job in jobs[:-2]] == [[]] * 3
        gate.open()


async def test_jobs_go_when_they_are_too_old(tmp_path: Path) -> None:
    """At the time when they are, though nothing else happens then."""
    keep = KeepFinished(count=None, age=timedelta(milliseconds=300))
    async with leaves_nothing(), Worker(state_dir=tmp_path, keep_finished=keep) as worker:
        job = await worker.start(["true"])
        async with asyncio.timeout(30), deletion_of(worker.bus, job.id):
            await worker.wait(job.id)
        assert (await worker.list()).jobs == ()


async def test_jobs_of_the_worker_before_go_too(tmp_path: Path) -> None:
    """When less is to be kept than before; and what a crash left of deletions is removed."""
    async with Worker(state_dir=tmp_path) as worker:
        jobs = [await finished(worker) for _ in range(3)]
    left = tmp_path / "logs" / f".discarded-{REQUEST}"
    left.mkdir()
    (left / f"{REQUEST}.stdout").write_text("left")
    async with leaves_nothing(), Worker(state_dir=tmp_path, keep_finished=KeepFinished(count=0)) as worker:
        # Its deletion comes after those of older ones.
        async with deletion_of(worker.bus, (last := await worker.start(["true"])).id):
            await worker.wait(last.id)
        assert (await worker.list()).jobs == ()
    assert list((tmp_path / "logs").iterdir()) == []
    assert [files_of(tmp_path, job.id) for job in jobs] == [[]] * 3


async def test_a_stop_is_answered_though_nothing_is_kept(tmp_path: Path) -> None:
    """With the job as it ended, even if it is forgotten at that moment."""
    async with leaves_nothing(), Worker(state_dir=tmp_path, keep_finished=KeepFinished(count=0)) as worker:
        jobs = [await worker.start(["sleep", "1000"]) for _ in range(5)]
        stopped = await asyncio.gather(*(worker.stop(job.id) for job in jobs))
    assert [job.signal for job in stopped] == [9] * 5
