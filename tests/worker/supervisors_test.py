"""A state directory has one worker and one supervisor at a time, whatever its path, their version, or their deaths."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from jobworker.supervisor.protocol import VERSION, End, Ended, Ready, decode_request, encode
from jobworker.worker import (
    JobState,
    StateDirectoryError,
    StateDirectoryInUseError,
    SupervisorError,
    SupervisorVersionError,
    Worker,
    supervisors,
)
from jobworker_testing import ProcessHandle
from restart_support import REQUEST, WorkerProcess, counting, kill, leftovers, only_job, runs, supervisor_handle
from worker_support import read_all, read_lines, sh

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


async def test_two_workers_on_one_directory(state: Path) -> None:
    """The second is told who has it, and harms nothing; once the first is gone, it may come."""
    with WorkerProcess(state) as held:
        job_id, _ = held.start_line("echo; exec sleep 1000")
        with pytest.raises(StateDirectoryInUseError, match=rf"in use by another worker \(process {held.pid}\)"):
            await Worker(state_dir=state).__aenter__()
        assert held.start(["true"])
    async with Worker(state_dir=state) as worker:
        assert (await worker.get(job_id)).state is JobState.RUNNING


async def test_two_workers_in_one_process(state: Path) -> None:
    """It is not the process that has the directory, but the worker."""
    async with Worker(state_dir=state) as worker:
        job = await worker.start(["sleep", "1000"])
        with pytest.raises(StateDirectoryInUseError, match=str(os.getpid())):
            await Worker(state_dir=state).__aenter__()
        assert (await worker.get(job.id)).state is JobState.RUNNING
        async with Worker(state_dir=state.with_name("other")) as other:
            assert (await other.list()).jobs == ()


async def test_the_same_directory_by_other_paths(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path and a symbolic link name the same jobs."""
    link = tmp_path / "link"
    link.symlink_to("state")
    monkeypatch.chdir(tmp_path)
    async with Worker(state_dir="state", keep_jobs=True) as worker:
        job = await worker.start(sh("echo hi; exec sleep 1000"))
        await read_lines(worker, job.id)
        with pytest.raises(StateDirectoryInUseError):
            await Worker(state_dir=link).__aenter__()
        # From here on it is a path of elsewhere.
        monkeypatch.chdir("/")
        other = await worker.start(["echo", "hi"])
        assert await read_all(worker, other.id) == b"hi\n"
    async with Worker(state_dir=link, keep_jobs=True) as worker:
        assert (await worker.get(job.id)).state is JobState.RUNNING
    async with Worker(state_dir=state) as worker:
        stopped = await worker.stop(job.id)
        assert (stopped.state, stopped.stdout_bytes) == (JobState.STOPPED, 3)


async def test_a_path_longer_than_a_socket_s(tmp_path: Path) -> None:
    """A socket's path may have 107 bytes; a state directory's any number."""
    long = tmp_path / "/".join(["long" * 25] * 4)
    async with Worker(state_dir=long, keep_jobs=True) as worker:
        job = await worker.start(["sleep", "1000"])
    async with Worker(state_dir=long) as worker:
        assert (await worker.stop(job.id)).state is JobState.STOPPED


async def test_a_forgotten_socket_and_strange_locks(state: Path) -> None:
    """What a crash leaves of them is no obstacle."""
    async with Worker(state_dir=state):
        pass
    for lock in ("worker.lock", "supervisor.lock"):
        (state / lock).write_bytes(b"\xff no number")
    (state / "supervisor.sock").unlink(missing_ok=True)
    (state / "supervisor.sock").write_text("no socket")
    async with Worker(state_dir=state) as worker:
        assert (await worker.wait((await worker.start(["true"])).id)).state is JobState.SUCCEEDED


@contextmanager
def pretender(state: Path) -> Iterator[socket.socket]:
    """Stands in for a supervisor: has its lock and listens at its socket."""
    state.mkdir(exist_ok=True)
    with (state / "supervisor.lock").open("w") as lock, socket.socket(socket.AF_UNIX) as listener:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(str(os.getpid()))
        lock.flush()
        (state / "supervisor.sock").unlink(missing_ok=True)
        listener.bind(os.fspath(state / "supervisor.sock"))
        listener.listen()
        listener.settimeout(0)
        yield listener


async def greet(listener: socket.socket, greeting: bytes) -> socket.socket:
    """Takes a connection and says something."""
    control, _ = await asyncio.get_running_loop().sock_accept(listener)
    control.settimeout(0)
    await asyncio.get_running_loop().sock_sendall(control, greeting)
    return control


async def test_a_supervisor_of_another_version_that_has_jobs(state: Path) -> None:
    """Its jobs are left alone, and the message says which version to stop them with."""
    opening = asyncio.ensure_future(Worker(state_dir=state).__aenter__())
    with pretender(state) as listener, await greet(listener, encode(Ready(999, 1, 3))) as control:
        said = rf"protocol version 999, this worker {VERSION}, and 3 jobs run there"
        with pytest.raises(SupervisorVersionError, match=said):
            await opening
        assert await asyncio.get_running_loop().sock_recv(control, 99) == b""


async def test_a_supervisor_of_another_version_without_jobs(state: Path) -> None:
    """It is ended, by what all versions understand, and replaced."""
    worker = Worker(state_dir=state)
    opening = asyncio.ensure_future(worker.__aenter__())
    with pretender(state) as listener, await greet(listener, encode(Ready(999, 1, 0))) as control:
        loop = asyncio.get_running_loop()
        assert decode_request(await loop.sock_recv(control, 99)) == End()
        await loop.sock_sendall(control, encode(Ended()))
        assert await loop.sock_recv(control, 99) == b""
        assert not opening.done()
    await opening
    job = await worker.start(["true"])
    assert (await worker.wait(job.id)).state is JobState.SUCCEEDED
    await worker.__aexit__(None, None, None)


@pytest.mark.parametrize("greeting", [b"hello\n", b'["Ready"]\n', b"[]\n"])
async def test_what_is_no_supervisor(state: Path, greeting: bytes) -> None:
    """It is said, and nothing else is done, since jobs may be there that it runs."""

    async def always() -> None:
        while True:
            (await greet(listener, greeting)).close()

    with pretender(state) as listener:
        answering = asyncio.ensure_future(always())
        with pytest.raises(SupervisorError, match="what should be the supervisor is none"):
            await Worker(state_dir=state).__aenter__()
        answering.cancel()


@pytest.mark.parametrize("accepts", [False, True])
async def test_a_supervisor_that_does_not_answer(
    state: Path, monkeypatch: pytest.MonkeyPatch, *, accepts: bool
) -> None:
    """After a while the message says which process it is; nobody else would be let in."""
    monkeypatch.setattr(supervisors, "PATIENCE_SECONDS", 0.1)
    with pretender(state) as listener:
        if not accepts:
            listener.close()
        with pytest.raises(StateDirectoryError, match=f"process {os.getpid()}, does not answer; kill that process"):
            await Worker(state_dir=state).__aenter__()


@pytest.mark.parametrize("nonsense", [b"hello\n", b"[]\n", b'["Start"]\n', b"\xff\n"])
async def test_whoever_talks_nonsense_to_a_supervisor_is_no_worker(state: Path, nonsense: bytes) -> None:
    """That ends the conversation and harms no job, and a worker that waits meanwhile is served next."""
    with WorkerProcess(state) as held:
        job_id, _ = held.start_line("echo; exec sleep 1000")
    worker = Worker(state_dir=state)
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(os.fspath(state / "supervisor.sock"))
        opening = asyncio.ensure_future(worker.__aenter__())
        await asyncio.sleep(0)
        control.send(nonsense)
        await opening
    assert (await worker.stop(job_id)).state is JobState.STOPPED
    await worker.__aexit__(None, None, None)


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
