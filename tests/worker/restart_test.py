"""A worker may be killed at any moment: its jobs go on, and the next one on its state directory has them all."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import Exited, JobState, MemoryJobStore, Outcome, Signaled, Worker
from jobworker_testing import ProcessHandle, children_of
from restart_support import (
    REQUEST,
    Leftovers,
    WorkerProcess,
    counting,
    leftovers,
    only_job,
    runs,
    supervisor_handle,
)
from worker_support import leaves_nothing, python, read_all, read_lines, read_now, sh

if TYPE_CHECKING:
    from pathlib import Path

    from worker_support import Gate

NOTHING = Leftovers((), (), None)
MODES = ["auto", "off"]

# Writes numbered lines to both streams, as many as it is told, and then as many again for each line of its gate.
WRITER = """
import os, sys
count, gate, rounds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for round in range(rounds):
    for number in range(round * count, (round + 1) * count):
        os.write(1, b"out %d\\n" % number)
        os.write(2, b"err %d\\n" % number)
    with open(gate) as file:
        file.readline()
"""


def written(name: str, count: int) -> bytes:
    """Returns what the writer has written after so many lines."""
    return b"".join(b"%s %d\n" % (name.encode(), number) for number in range(count))


@pytest.mark.parametrize("cgroup_root", MODES)
async def test_a_job_outlives_its_killed_worker(state: Path, gate: Gate, cgroup_root: str) -> None:
    """It is the same job and the same process, its logs are exact from any byte, and its end is seen."""
    with WorkerProcess(state, cgroup_root=cgroup_root) as held:
        job_id, pid = held.start_line(f"echo $$; read -r _ <{gate.path}; echo bye; exit 3")
        process = ProcessHandle(int(pid))
    async with Worker(state_dir=state, cgroup_root=cgroup_root) as worker:
        job = await worker.get(job_id)
        assert (job.state, job.stdout_bytes) == (JobState.RUNNING, len(pid) + 1)
        assert not process.has_exited()
        assert worker.recovery.running == 1
        gate.open()
        ended = await worker.wait(job_id)
        assert (ended.outcome, ended.start_time, ended.command) == (Exited(3), job.start_time, job.command)
        whole = f"{pid}\nbye\n".encode()
        for offset in range(len(whole) + 1):
            assert await read_all(worker, job_id, offset=offset) == whole[offset:]
    assert leftovers(state) == NOTHING


async def test_logs_are_exact_across_restarts(state: Path, gate: Gate) -> None:
    """Both streams, from byte 0 and from where a reader was, while the job writes on with and without a worker."""
    command = python(WRITER, "1000", gate.path, "3")
    async with Worker(state_dir=state, keep_jobs=True) as worker:
        job = await worker.start(command)
        seen = "\n".join(await read_lines(worker, job.id, 1000)) + "\n"
    gate.open()
    with WorkerProcess(state):
        gate.open()
    async with Worker(state_dir=state, keep_jobs=True) as worker:
        gate.open()
        assert (await worker.wait(job.id)).state is JobState.SUCCEEDED
        assert seen.encode() + await read_all(worker, job.id, offset=len(seen)) == written("out", 3000)
    async with Worker(state_dir=state) as worker:
        assert await read_now(worker, job.id) == written("out", 3000)
        assert await read_now(worker, job.id, "stderr") == written("err", 3000)


@pytest.mark.parametrize(
    ("script", "outcome", "state_then"),
    [
        ("exit 0", Exited(0), JobState.SUCCEEDED),
        ("exit 255", Exited(255), JobState.FAILED),
        ("kill -SEGV $$", Signaled(signal.SIGSEGV), JobState.FAILED),
        ("kill -KILL $$", Signaled(signal.SIGKILL), JobState.FAILED),
    ],
)
async def test_a_job_that_ends_while_no_worker_is_there(
    state: Path, gate: Gate, script: str, outcome: Outcome, state_then: JobState
) -> None:
    """How, when, and with how much output is known."""
    with WorkerProcess(state) as held:
        job_id, pid = held.start_line(f"echo $$; read -r _ <{gate.path}; echo oh >&2; sleep 100 & {script}")
        process = ProcessHandle(int(pid))
    supervisor = supervisor_handle(state)
    gate.open()
    process.wait()
    # With the last job, the supervisor has nothing to wait for.
    supervisor.wait()
    for _ in range(2):
        async with Worker(state_dir=state) as worker:
            job = await worker.get(job_id)
            assert (job.state, job.outcome, job.killed_processes) == (state_then, outcome, 1)
            assert (job.stdout_bytes, job.stderr_bytes) == (len(pid) + 1, 3)
            assert job.end_time is not None
            assert job.end_time > job.start_time
            assert await read_all(worker, job_id) == f"{pid}\n".encode()
        assert leftovers(state) == NOTHING


async def test_jobs_started_and_ended_unseen(state: Path, tmp_path: Path) -> None:
    """A worker that was killed before it heard of its jobs; the next one has each of them, with its end."""
    files = [tmp_path / str(number) for number in range(20)]
    with WorkerProcess(state, failpoint="started-received") as held:
        supervisor = supervisor_handle(state)
        for file in files:
            held.ask("start", *counting(file))
        held.die()
    supervisor.wait()
    async with Worker(state_dir=state) as worker:
        jobs = (await worker.list()).jobs
        assert {job.outcome for job in jobs} == {Exited(7)}
        assert worker.recovery.ended == len(jobs)
        for job in jobs:
            assert await read_all(worker, job.id) == b"hi\n"
        # Whatever was not asked for before the kill is not there, and the rest ran once.
        assert [runs(file) for file in files].count(1) == len(jobs)
        assert sum(runs(file) for file in files) == len(jobs)
    assert leftovers(state) == NOTHING


@pytest.mark.parametrize("then", ["exit 7", "exec sleep 1000"])
async def test_a_retry_after_the_crash_is_the_same_job(state: Path, tmp_path: Path, then: str) -> None:
    """Whether it runs or has ended, and however many ask at once."""
    command = counting(tmp_path / "count", then)
    with WorkerProcess(state) as held:
        job_id = held.start(command, REQUEST)
    async with Worker(state_dir=state) as worker:
        jobs = await asyncio.gather(*(worker.start(command, request_id=REQUEST) for _ in range(20)))
        assert {job.id for job in jobs} == {job_id}
        assert await read_lines(worker, job_id) == ["hi"]
        assert runs(tmp_path / "count") == 1
        assert (await only_job(worker)).id == job_id


async def test_a_worker_that_is_left_ends_its_jobs(state: Path) -> None:
    """Also those that it took over from one that was killed."""
    with WorkerProcess(state) as held:
        jobs = [held.start_line("sleep 1000 & echo; wait")[0] for _ in range(5)]
    async with Worker(state_dir=state) as worker:
        assert len([job for job in (await worker.list()).jobs if job.state is JobState.RUNNING]) == 5
    assert leftovers(state) == NOTHING
    async with Worker(state_dir=state) as worker:
        ended = [await worker.get(job_id) for job_id in jobs]
        assert {(job.state, job.killed_processes) for job in ended} == {(JobState.STOPPED, 1)}


async def test_jobs_that_are_to_be_kept(state: Path, gate: Gate) -> None:
    """Leaving the context leaves them running; a later worker without that wish ends them."""
    async with Worker(state_dir=state, keep_jobs=True) as worker:
        ended = await worker.start(sh('read -r _ <"$1"; exit 5', gate.path))
        left = await worker.start(["sleep", "1000"])
    gate.open()
    async with Worker(state_dir=state, keep_jobs=True) as worker:
        assert (await worker.wait(ended.id)).exit_code == 5
        assert (await worker.get(left.id)).state is JobState.RUNNING
    async with Worker(state_dir=state):
        pass
    assert leftovers(state) == NOTHING
    async with Worker(state_dir=state) as worker:
        assert (await worker.get(left.id)).state is JobState.STOPPED


async def test_jobs_that_end_as_their_worker_leaves(state: Path) -> None:
    """Those whose ends it doesn't see any more are seen by the next."""
    async with Worker(state_dir=state, keep_jobs=True) as worker:
        jobs = [await worker.start(sh("exit 6")) for _ in range(50)]
    async with Worker(state_dir=state, keep_jobs=True) as worker:
        assert {(await worker.wait(job.id)).exit_code for job in jobs} == {6}
    async with Worker(state_dir=state):
        pass
    assert leftovers(state) == NOTHING


@pytest.mark.parametrize("by", ["kill", "leave"])
async def test_a_supervisor_that_nobody_needs_ends(state: Path, by: str) -> None:
    """Without a worker and without jobs; the next worker gets another."""
    with WorkerProcess(state, keep_jobs=True) as held:
        assert held.wait(held.start(["true"])) == "succeeded"
        supervisor = supervisor_handle(state)
        held.kill() if by == "kill" else held.close()
        supervisor.wait()
    assert leftovers(state).supervisor is None
    async with Worker(state_dir=state) as worker:
        assert (await worker.wait((await worker.start(["true"])).id)).state is JobState.SUCCEEDED


async def test_a_worker_that_comes_as_the_supervisor_goes(state: Path) -> None:
    """Whichever comes first, it opens, and with a supervisor that works."""
    for number in range(30):
        async with Worker(state_dir=state, keep_jobs=True) as worker:
            assert len((await worker.list()).jobs) == number
            job = await worker.start(["true"])
            assert (await worker.wait(job.id)).state is JobState.SUCCEEDED


async def test_workers_that_kill_each_other_in_a_row(state: Path) -> None:
    """A job outlives any number of them, even if each is killed as soon as it is open."""
    with WorkerProcess(state) as held:
        job_id, pid = held.start_line("echo $$; exec sleep 1000")
    process = ProcessHandle(int(pid))
    for _ in range(5):
        with WorkerProcess(state):
            assert not process.has_exited()
    async with Worker(state_dir=state) as worker:
        assert (await worker.stop(job_id)).state is JobState.STOPPED
        assert process.has_exited()


async def test_a_stop_outlives_the_worker(state: Path) -> None:
    """A grace period that was begun goes on without a worker, and what is left after it is killed."""
    with WorkerProcess(state) as held:
        job_id, pid = held.start_line("trap '' TERM; echo $$; while :; do sleep 1000 & wait; done")
        supervisor, process = supervisor_handle(state), ProcessHandle(int(pid))
        held.begin_stop(job_id, grace_period=0.2)
    process.wait()
    supervisor.wait()
    async with Worker(state_dir=state) as worker:
        job = await worker.get(job_id)
        assert (job.state, job.outcome) == (JobState.STOPPED, Signaled(signal.SIGKILL, by_stop=True))
        assert job.stop_request_time is not None


async def test_without_a_durable_store_jobs_die_with_their_worker(state: Path) -> None:
    """The state directory alone doesn't keep them."""
    async with leaves_nothing():
        with WorkerProcess(state, memory=True) as held:
            (supervisor,) = children_of(held.pid)
            _, pid = held.start_line("setsid sleep 1000 & echo $$; wait")
            with ProcessHandle(int(pid)) as process, ProcessHandle(supervisor) as ending:
                held.kill()
                process.wait()
                ending.wait()


async def test_durable_workers_and_others_in_turn(state: Path) -> None:
    """Those of the one kind leave the other kind's jobs alone."""
    async with Worker(state_dir=state, keep_jobs=True) as worker:
        kept = await worker.start(sh("echo $$; exec sleep 1000"))
        (pid,) = await read_lines(worker, kept.id)
    with ProcessHandle(int(pid)) as process:
        async with Worker(state_dir=state, store=MemoryJobStore()) as worker:
            assert (await worker.list()).jobs == ()
            other = await worker.start(["sleep", "1000"])
        assert not process.has_exited()
        async with Worker(state_dir=state) as worker:
            assert (await only_job(worker)).id == kept.id != other.id
            assert (await worker.stop(kept.id)).state is JobState.STOPPED
        assert process.has_exited()
    assert leftovers(state) == NOTHING
