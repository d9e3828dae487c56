"""A state directory has one worker and one supervisor at a time, whatever its path, or the supervisor's version."""

from __future__ import annotations

import asyncio
import os
import socket
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
from restart_support import WorkerProcess, pretender
from worker_support import read_all, read_lines, sh

if TYPE_CHECKING:
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
