"""Disk, descriptors, processes, state directory and job store fail under a worker: it says so, and loses no job.

What binds a whole file system or user is tried in an environment of its own, and skipped where that is not granted.
"""

# ruff: noqa: ASYNC240, PT012 - small files on a local disk; what must fail is a whole `async with`

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from contextlib import AsyncExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import (
    Exited,
    Job,
    JobState,
    JobStoreError,
    Lost,
    ResourceExhaustedError,
    StateDirectoryError,
    SupervisorError,
    Worker,
)
from jobworker.worker.sqlite_store import SqliteJobStore
from jobworker_testing import ProcessHandle
from restart_support import (
    REQUEST,
    Leftovers,
    WorkerProcess,
    counting,
    kill,
    leftovers,
    only_job,
    runs,
    supervisor_handle,
)
from worker_support import granted, library_environment, marked_processes, read_all, read_lines, sh

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from worker_support import Gate

NOTHING = Leftovers((), (), None)


def run(scenario: str, directory: Path, under: Sequence[str]) -> None:
    """Runs one of fault_scenarios in an environment of its own; it must end well and say nothing."""
    program = "import fault_scenarios; fault_scenarios.main()"
    command = [*under, sys.executable, "-c", program, scenario, str(directory)]
    ended = subprocess.run(
        command, env=library_environment(), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("scenario", ["full_disk", "full_disk_and_a_killed_supervisor"])
def test_a_full_disk(tmp_path: Path, scenario: str) -> None:
    """See the scenarios."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=4m none "$1" && shift && exec "$@"'
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    run(scenario, disk, granted("unshare", *user, "--mount", "sh", "-c", mount, "sh", str(disk)))


def test_no_more_processes(tmp_path: Path) -> None:
    """See the scenario; root is bound by no such limit."""
    user = "--reuid=65534", "--regid=65534", "--clear-groups"
    capabilities = "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"
    run("no_more_processes", tmp_path, granted("setpriv", *user, *capabilities) if os.geteuid() == 0 else ())


def limit_descriptors(pid: int, number: int | None = None) -> None:
    """Sets how many descriptors a process may have; None for what this one may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft if number is None else number, hard))


async def test_a_supervisor_out_of_descriptors(state: Path) -> None:
    """Whichever is the one too many, a start is refused, and nothing is left of it; jobs that run end as they would."""
    async with Worker(state_dir=state) as worker:
        job = await worker.start(["sleep", "1000"])
        with supervisor_handle(state) as supervisor:
            # No fewer than it polls, which the kernel would refuse.
            for number in range(8, 64):
                limit_descriptors(supervisor.pid, number)
                (result,) = await asyncio.gather(worker.start(["true"]), return_exceptions=True)
                if isinstance(result, Job):
                    break
                assert isinstance(result, ResourceExhaustedError), result
                assert result.resource == "file descriptors"
                assert leftovers(state).records == (job.id,)
                assert {path.stem for path in (state / "logs").iterdir()} == {job.id}
            assert number > 9
            limit_descriptors(supervisor.pid)
        assert (await worker.stop(job.id)).state is JobState.STOPPED
        assert (await worker.wait((await worker.start(["true"])).id)).state is JobState.SUCCEEDED


async def test_a_worker_out_of_descriptors_whose_supervisor_dies(state: Path) -> None:
    """It can't have another, says why, and ends; the next one finds what is left of the jobs."""
    with WorkerProcess(state) as held, supervisor_handle(state) as supervisor:
        job_id, _ = held.start_line("echo hi; exec sleep 1000")
        limit_descriptors(held.pid, 3)
        kill(supervisor)
        assert held.read().startswith("ResourceExhaustedError: out of file descriptors; ")
    async with Worker(state_dir=state) as worker:
        assert isinstance((await worker.get(job_id)).outcome, Lost)
        assert await read_all(worker, job_id) == b"hi\n"


@pytest.mark.parametrize("keep_jobs", [False, True])
async def test_a_state_directory_that_is_removed_under_a_worker(state: Path, gate: Gate, *, keep_jobs: bool) -> None:
    """Ends of jobs are still seen, starts are refused, and with the worker all jobs go."""
    async with Worker(state_dir=state, keep_jobs=keep_jobs) as worker:
        ending = await worker.start(sh('read -r _ <"$1"; exit 5', gate.path))
        running = await worker.start(sh("echo; exec sleep 1000"))
        await read_lines(worker, running.id)
        supervisor = supervisor_handle(state)
        shutil.rmtree(state)
        gate.open()
        assert (await worker.wait(ending.id)).outcome == Exited(5)
        with pytest.raises(SupervisorError, match="No such file or directory; check the state directory"):
            await worker.start(["true"])
        assert (await worker.get(running.id)).state is JobState.RUNNING
    with supervisor:
        supervisor.wait()
    assert marked_processes() == []


async def test_a_state_directory_that_is_removed_before_the_worker_is_killed(state: Path) -> None:
    """Nobody could ever find its jobs, so they go with it."""
    with WorkerProcess(state) as held, supervisor_handle(state) as supervisor:
        _, pid = held.start_line("setsid sleep 1000 & echo $$; exec sleep 1000")
        shutil.rmtree(state)
        with ProcessHandle(int(pid)) as process:
            held.kill()
            process.wait()
            supervisor.wait()
    assert marked_processes() == []


async def test_a_state_directory_that_another_takes_the_place_of(state: Path) -> None:
    """Each supervisor keeps to its own: that of the one removed ends with its worker, and the other's jobs run on."""
    with WorkerProcess(state) as held, supervisor_handle(state) as supervisor:
        held.start_line("echo; exec sleep 1000")
        shutil.rmtree(state)
        async with Worker(state_dir=state) as worker:
            job = await worker.start(sh("echo; exec sleep 1000"))
            await read_lines(worker, job.id)
            held.kill()
            supervisor.wait()
            assert (await worker.get(job.id)).state is JobState.RUNNING
            assert (await worker.stop(job.id)).state is JobState.STOPPED


async def test_a_state_directory_that_is_removed_and_a_killed_supervisor(state: Path) -> None:
    """The worker can't have another one there; it kills what is left of the jobs, and says why it ends."""
    with pytest.raises(StateDirectoryError, match=f"state directory {state}: No such file or directory"):
        async with Worker(state_dir=state) as worker:
            job = await worker.start(sh("setsid sleep 1000 & echo; exec sleep 1000"))
            await read_lines(worker, job.id)
            with supervisor_handle(state) as supervisor:
                shutil.rmtree(state)
                kill(supervisor)
            await asyncio.get_running_loop().create_future()
    assert marked_processes() == []


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """Has the job store's file locked by another program, so to speak."""
    with closing(sqlite3.connect(state / "jobs.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


async def test_a_job_store_that_is_locked_at_the_opening(state: Path) -> None:
    """It is said, and the jobs that run there run on."""
    with WorkerProcess(state) as held:
        job_id, _ = held.start_line("echo; exec sleep 1000")
    with locked(state), pytest.raises(JobStoreError, match="another program has locked it; end that program"):
        await Worker(state_dir=state).__aenter__()
    async with Worker(state_dir=state) as worker:
        assert (await worker.get(job_id)).state is JobState.RUNNING


async def test_a_job_store_that_is_locked_meanwhile(state: Path, gate: Gate) -> None:
    """Starts are refused; ends are known at once, and to the next worker, even if this one is killed meanwhile."""
    with WorkerProcess(state) as held, supervisor_handle(state) as supervisor:
        job_id, _ = held.start_line(f"echo hi; read -r _ <{gate.path}; exit 5")
        # Nor does the disk take the supervisor's record of it.
        resource.prlimit(supervisor.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        with locked(state):
            assert held.start(["true"]).startswith(f"JobStoreError: job store {state}/jobs.sqlite: another program")
            gate.open()
            assert held.wait(job_id) == "failed"
            held.kill()
        assert not supervisor.has_exited()
        async with Worker(state_dir=state) as worker:
            assert worker.recovery.ended == 1
            assert (await worker.get(job_id)).outcome == Exited(5)
            assert await read_all(worker, job_id) == b"hi\n"
        supervisor.wait()


async def test_a_job_store_that_is_damaged(state: Path) -> None:
    """It is refused and kept aside; the next opening begins with an empty one, and ends what still runs there."""
    with WorkerProcess(state) as held:
        _, pid = held.start_line("setsid sleep 1000 & echo $$; exec sleep 1000")
    store = state / "jobs.sqlite"
    for file in state.glob("jobs.sqlite-*"):
        file.unlink()
    store.write_bytes(b"no database" + store.read_bytes()[11:])
    with ProcessHandle(int(pid)) as process:
        with pytest.raises(JobStoreError, match="it was damaged"):
            await Worker(state_dir=state).__aenter__()
        assert not process.has_exited()
        assert [path for path in state.glob("jobs.sqlite?*") if path.read_bytes().startswith(b"no database")]
        async with Worker(state_dir=state) as worker:
            process.wait()
            assert (await worker.list()).jobs == ()
    assert leftovers(state) == NOTHING
    assert list((state / "logs").iterdir()) == []


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_job_store_that_can_t_take_a_job_that_was_started(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, leaves: bool
) -> None:
    """Who started it is told, and it is ended; its request id never starts it again, here or in the next worker."""
    count = tmp_path / "count"
    command = counting(count, "exec sleep 1000")

    async def fail(*_: object) -> None:
        raise JobStoreError("jobs.sqlite", "can't")

    async with AsyncExitStack() as stack:
        worker = await stack.enter_async_context(Worker(state_dir=state))
        add = SqliteJobStore.add
        monkeypatch.setattr(SqliteJobStore, "add", fail)
        for _ in range(3):
            with pytest.raises(JobStoreError, match="can't"):
                await worker.start(command, request_id=REQUEST)
        assert (await worker.list()).jobs == ()
        if leaves:
            await stack.aclose()
        monkeypatch.setattr(SqliteJobStore, "add", add)
        if leaves:
            worker = await stack.enter_async_context(Worker(state_dir=state))
        job = await worker.wait((await worker.start(command, request_id=REQUEST)).id)
        assert job == await only_job(worker)
        assert job.state is JobState.STOPPED
        assert runs(count) <= 1
    assert leftovers(state) == NOTHING


async def test_a_job_store_that_fails_for_good(state: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker ends, and says why; its jobs run on as if it had been killed, and the next one has all of them."""

    async def fail(*_: object) -> None:
        raise JobStoreError("jobs.sqlite", "it is damaged")

    with monkeypatch.context() as patched, pytest.raises(JobStoreError, match="it is damaged"):
        async with Worker(state_dir=state) as worker:
            ending = await worker.start(sh('read -r _ <"$1"; exit 5', gate.path))
            running = await worker.start(["sleep", "1000"])
            patched.setattr(SqliteJobStore, "replace", fail)
            gate.open()
            await worker.wait(ending.id)
    async with Worker(state_dir=state) as worker:
        assert (await worker.wait(ending.id)).outcome == Exited(5)
        assert (await worker.get(running.id)).state is JobState.RUNNING
