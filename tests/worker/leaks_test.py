"""Nothing is left behind after any kind of end: no descriptor, process, task, watch, cgroup or temporary file."""

# ruff: noqa: PT012 - what must fail is a whole `async with`

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import Job, JobState, MemoryJobStore, ProgramNotFoundError, Worker, WorkerClosedError
from jobworker_testing import children_of
from process_support import FOREVER, LEAVING, leaver
from worker_support import contents, descriptors_of, footprint, leaves_nothing, read_all, read_lines, sh, watches_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

BOTH_MODES = True

TALKER = sh("echo ready; exec sleep 1000")


@pytest.fixture(autouse=True)
def no_watches_left() -> Iterator[None]:
    """Whatever a test does, the kernel watches no more files for this process than before."""
    before = watches_of(os.getpid())
    yield
    assert watches_of(os.getpid()) == before


async def finish(worker: Worker) -> None:
    """Runs a job to its end."""
    job = await worker.start(sh("echo out; echo err >&2; exit 3"))
    await worker.wait(job.id)


async def stop(worker: Worker) -> None:
    """Stops a job with children."""
    job = await worker.start(sh("sleep 1000 & sleep 1000 & echo ready; wait"))
    await read_lines(worker, job.id)
    await worker.stop(job.id)


async def leave_behind(worker: Worker) -> None:
    """Lets a job end with processes that have left it in every way, and stops one like it."""
    for then in ("sys.exit(3)", FOREVER):
        job = await worker.start(leaver(LEAVING, then))
        await read_lines(worker, job.id, len(LEAVING))
        await worker.stop(job.id)


async def stop_gently(worker: Worker) -> None:
    """Stops a job that ends by itself, and one that has to be killed in the end, with their children."""
    for trap in ("-", "''"):
        job = await worker.start(sh(f"trap {trap} TERM; setsid sleep 1000 & sleep 1000 & echo ready; wait"))
        await read_lines(worker, job.id)
        await worker.stop(job.id, grace_period=0.01)


async def follow(worker: Worker) -> None:
    """Follows a job to its end."""
    await read_all(worker, (await worker.start(sh("echo out"))).id)


async def leave_follow(worker: Worker) -> None:
    """Ends a follow in the middle."""
    job = await worker.start(TALKER)
    await read_lines(worker, job.id)
    await worker.stop(job.id)


async def cancel_follow(worker: Worker) -> None:
    """Cancels a follow that waits."""
    job = await worker.start(TALKER)
    follower = contents(worker.read_logs(job.id, "stdout", follow=True))
    assert await anext(follower) == b"ready\n"
    waiting = asyncio.ensure_future(anext(follower))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await worker.stop(job.id)


async def cancel_wait(worker: Worker) -> None:
    """Cancels a wait."""
    job = await worker.start(TALKER)
    waiting = asyncio.ensure_future(worker.wait(job.id))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await worker.stop(job.id)


async def cancel_start(worker: Worker) -> None:
    """Cancels a start under way, then stops what it started."""
    before = len((await worker.list()).jobs)
    starting = asyncio.ensure_future(worker.start(TALKER))
    await asyncio.sleep(0)
    starting.cancel()
    await finish(worker)
    jobs = (await worker.list()).jobs
    assert len(jobs) == before + 2
    await worker.stop(jobs[1].id)


async def fail_to_start(worker: Worker) -> None:
    """Starts what is not there."""
    with pytest.raises(ProgramNotFoundError):
        await worker.start(["no-such-program"])


async def read_nothing(worker: Worker) -> None:
    """Begins two reads, one of which is never advanced, and one never finished."""
    job = await worker.start(TALKER)
    await read_lines(worker, job.id)
    never = worker.read_logs(job.id, "stdout", follow=True)
    once = worker.read_logs(job.id, "stdout", follow=True)
    await anext(once)
    await worker.stop(job.id)
    await once.aclose()
    await never.aclose()


WAYS = [
    finish,
    stop,
    leave_behind,
    stop_gently,
    follow,
    leave_follow,
    cancel_follow,
    cancel_wait,
    cancel_start,
    fail_to_start,
    read_nothing,
]


@pytest.mark.parametrize("way", WAYS)
async def test_a_job_s_end_leaves_nothing(worker: Worker, way: Callable[[Worker], Awaitable[None]]) -> None:
    """Neither in this process nor in the supervisor, while the worker stays open."""
    (supervisor,) = children_of(os.getpid())
    await way(worker)
    before = footprint(), descriptors_of(supervisor), children_of(supervisor)
    await way(worker)
    assert (footprint(), descriptors_of(supervisor), children_of(supervisor)) == before
    assert before[2] == []


async def test_an_empty_worker_leaves_nothing(cgroup_root: str) -> None:
    """Opened and closed, and again."""
    async with leaves_nothing():
        for _ in range(2):
            async with Worker(cgroup_root=cgroup_root):
                pass


async def test_closing_with_running_jobs_and_followers_leaves_nothing(cgroup_root: str) -> None:
    """The jobs are killed, and who waits for them or reads them is told."""
    async with leaves_nothing():
        async with Worker(cgroup_root=cgroup_root) as worker:
            jobs = [await worker.start(TALKER) for _ in range(5)]
            for job in jobs:
                await read_lines(worker, job.id)
            readers = [asyncio.ensure_future(read_all(worker, job.id)) for job in jobs]
            waiters = [asyncio.ensure_future(worker.wait(job.id)) for job in jobs]
            await asyncio.sleep(0)
        read = await asyncio.gather(*readers, return_exceptions=True)
        waited = await asyncio.gather(*waiters, return_exceptions=True)
    assert {type(result) for result in read} == {WorkerClosedError}
    assert all(isinstance(result, WorkerClosedError) or result.state.is_final for result in waited)  # type: ignore[union-attr]


async def test_closing_with_starts_under_way_leaves_nothing(cgroup_root: str) -> None:
    """Each is either a job, which is killed, or told that the worker is closed."""
    store = MemoryJobStore()
    async with leaves_nothing():
        async with Worker(cgroup_root=cgroup_root, store=store) as worker:
            starts = [asyncio.ensure_future(worker.start(["sleep", "1000"])) for _ in range(20)]
            await starts[0]
        results = await asyncio.gather(*starts, return_exceptions=True)
    jobs = [await store.find(result.id) for result in results if isinstance(result, Job)]
    assert {type(result) for result in results} <= {Job, WorkerClosedError}
    assert jobs
    assert {job.state for job in jobs} == {JobState.STOPPED}


async def test_an_exception_in_the_body_leaves_nothing(cgroup_root: str) -> None:
    """And comes out as it is, not in a group."""
    async with leaves_nothing():
        with pytest.raises(RuntimeError, match="own bug"):
            async with Worker(cgroup_root=cgroup_root) as worker:
                await worker.start(["sleep", "1000"])
                raise RuntimeError("the body's own bug")


@pytest.mark.parametrize(("times", "jobs"), [(1, 3), (2, 3), (3, 3), (9, 350)])
async def test_a_cancelled_body_leaves_nothing(cgroup_root: str, times: int, jobs: int) -> None:
    """However often it is cancelled, also while the worker closes, and while more ends are told than a socket holds."""

    async def body() -> None:
        async with Worker(cgroup_root=cgroup_root) as worker:
            await asyncio.gather(*(worker.start(["sleep", "1000"]) for _ in range(jobs)))
            started.set()
            await asyncio.get_running_loop().create_future()

    async with leaves_nothing():
        started = asyncio.Event()
        task = asyncio.ensure_future(body())
        await started.wait()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("rounds", range(12))
async def test_a_cancelled_opening_leaves_nothing(cgroup_root: str, rounds: int) -> None:
    """At whichever step of it: the supervisor may be there already, or be ready just now."""

    async def body() -> None:
        async with Worker(cgroup_root=cgroup_root):
            await asyncio.get_running_loop().create_future()

    async with leaves_nothing():
        task = asyncio.ensure_future(body())
        for _ in range(rounds):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_worker_that_is_never_left_warns(cgroup_root: str) -> None:
    """Forgetting to close is loud."""
    worker = Worker(cgroup_root=cgroup_root)
    await worker.__aenter__()
    with pytest.warns(ResourceWarning, match="never left"):
        worker.__del__()
    await worker.__aexit__(None, None, None)
