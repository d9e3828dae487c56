"""Supervisors are killed, alone or with their workers: their jobs are lost and killed, and nothing else is."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import (
    Exited,
    JobState,
    Lost,
    Worker,
)
from jobworker_testing import ProcessHandle, suspend
from restart_support import REQUEST, WorkerProcess, counting, kill, leftovers, only_job, runs, supervisor_handle
from worker_support import read_all, read_lines, sh

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("cgroup_root", ["auto", "off"])
async def test_a_killed_supervisor_is_replaced(state: Path, tmp_path: Path, cgroup_root: str) -> None:
    """Its jobs are lost, with all that they have started; whoever waits is told; and the worker goes on."""
    script = 'setsid sh -c "echo \\$\\$ >$1; exec sleep 1000" & (sleep 1000 &) & echo $$; wait'
    async with Worker(state_dir=state, cgroup_root=cgroup_root) as worker:
        jobs = [await worker.start(sh(script, str(tmp_path / str(number)))) for number in range(3)]
        leaders = [int((await read_lines(worker, job.id))[0]) for job in jobs]
        ended = await worker.start(sh("exit 4"))
        assert (await worker.wait(ended.id)).exit_code == 4
        waiting = [asyncio.ensure_future(worker.wait(job.id)) for job in jobs]
        reading = [asyncio.ensure_future(read_all(worker, job.id)) for job in jobs]
        await asyncio.sleep(0)
        with supervisor_handle(state) as supervisor:
            kill(supervisor)
        for job in await asyncio.gather(*waiting):
            assert (job.state, job.exit_code, job.signal) == (JobState.FAILED, None, None)
            assert "its supervisor was killed while the job ran" in repr(job.outcome)
            assert job.killed_processes > 0
        assert await asyncio.gather(*reading) == [f"{pid}\n".encode() for pid in leaders]
        again = await worker.start(["echo", "hi"])
        assert await read_all(worker, again.id) == b"hi\n"
        assert (await worker.get(ended.id)).exit_code == 4
        # There is nothing but the new supervisor.
        assert leftovers(state).processes == (leftovers(state).supervisor,)


async def test_starts_under_way_when_the_supervisor_is_killed(state: Path, tmp_path: Path) -> None:
    """Each gets an answer: those that were not begun are asked for again, and none ever runs twice."""
    counts = [tmp_path / str(number) for number in range(100)]
    async with Worker(state_dir=state) as worker:
        with supervisor_handle(state) as supervisor:
            starts = [asyncio.ensure_future(worker.start(counting(count))) for count in counts]
            await starts[0]
            kill(supervisor)
        jobs = await asyncio.gather(*starts)
        ended = [await worker.wait(job.id) for job in jobs]
        assert {job.exit_code for job in ended} <= {7, None}
        for job, count in zip(ended, counts, strict=True):
            assert runs(count) == 1 if job.exit_code == 7 else runs(count) <= 1
            assert job.exit_code == 7 or "its supervisor was killed" in repr(job.outcome)
        assert len({job.id for job in jobs}) == len(counts)


@pytest.mark.parametrize("cgroup_root", ["auto", "off"])
async def test_a_supervisor_killed_together_with_its_worker(state: Path, cgroup_root: str) -> None:
    """The next worker finds what is left of the jobs, kills it, and says that they are lost."""
    with WorkerProcess(state, cgroup_root=cgroup_root) as held, supervisor_handle(state) as supervisor:
        job_id, pids = held.start_line("setsid sleep 1000 & echo $$ $!; exec sleep 1000")
        held.kill()
        kill(supervisor)
    with ProcessHandle(int(pids.split()[0])) as leader, ProcessHandle(int(pids.split()[1])) as escaped:
        assert not leader.has_exited()
        assert not escaped.has_exited()
        async with Worker(state_dir=state, cgroup_root=cgroup_root) as worker:
            job = await only_job(worker)
            assert (job.id, job.state, job.killed_processes) == (job_id, JobState.FAILED, 1)
            assert job.stdout_bytes == len(pids) + 1
            assert worker.recovery.lost == 1
            assert leader.has_exited()
            assert escaped.has_exited()


@pytest.mark.parametrize("keep_jobs", [False, True])
async def test_a_supervisor_killed_while_the_worker_leaves(state: Path, *, keep_jobs: bool) -> None:
    """The jobs are killed all the same: by this worker, or if they were to be kept by the next."""
    async with Worker(state_dir=state, keep_jobs=keep_jobs) as worker:
        job = await worker.start(sh("echo $$; exec sleep 1000"))
        (pid,) = await read_lines(worker, job.id)
        process = ProcessHandle(int(pid))
        os.kill(leftovers(state).supervisor or 0, signal.SIGKILL)
    with process:
        assert process.has_exited() is not keep_jobs
        async with Worker(state_dir=state) as worker:
            assert process.has_exited()
            assert (await worker.get(job.id)).state is JobState.FAILED


async def test_a_start_that_was_lost_is_not_made_again(state: Path, tmp_path: Path) -> None:
    """Its request id gives the job that was lost, whether or not it ran."""
    command = counting(tmp_path / "count", "exec sleep 1000")
    async with Worker(state_dir=state) as worker:
        job = await worker.start(command, request_id=REQUEST)
        await read_lines(worker, job.id)
        with supervisor_handle(state) as supervisor:
            kill(supervisor)
        lost = await worker.wait(job.id)
        assert await worker.start(command, request_id=REQUEST) == lost
        assert runs(tmp_path / "count") == 1


async def test_a_start_that_was_not_begun_is_made_again(state: Path, tmp_path: Path) -> None:
    """The worker knows that its supervisor has not come to it, and asks the next one; nobody else notices."""
    count = tmp_path / "count"
    async with Worker(state_dir=state) as worker:
        with supervisor_handle(state) as supervisor:
            suspend(supervisor.pid)
            start = asyncio.ensure_future(worker.start(counting(count), request_id=REQUEST))
            # Until it is on the disk, and has been asked for.
            while not worker._parts.starts.asked():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
            kill(supervisor)
        job = await start
        assert (await worker.wait(job.id)).outcome == Exited(7)
        assert (await worker.start(counting(count), request_id=REQUEST)) == await only_job(worker)
    assert runs(count) == 1


async def test_supervisors_that_are_killed_one_after_another(state: Path) -> None:
    """The worker goes on, with another one each time."""
    async with Worker(state_dir=state) as worker:
        for _ in range(5):
            job = await worker.start(sh("echo; exec sleep 1000"))
            await read_lines(worker, job.id)
            with supervisor_handle(state) as supervisor:
                kill(supervisor)
            assert isinstance((await worker.wait(job.id)).outcome, Lost)
        ended = await worker.start(["true"])
        assert (await worker.wait(ended.id)).state is JobState.SUCCEEDED
