"""What faults_test runs in environments of their own: on a disk that is small, as a user whom limits bind."""

# ruff: noqa: PT012 - small files on a local disk; what must fail is a whole `async with`

from __future__ import annotations

import asyncio
import os
import resource
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import (
    Exited,
    JobState,
    JobStoreError,
    Lost,
    ResourceExhaustedError,
    Worker,
)
from restart_support import WorkerProcess, kill, leftovers, state_directory, supervisor_handle
from worker_support import Gate, read_all, read_lines, sh

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

FULL = "ResourceExhaustedError: out of disk space; free some on the file system of the state directory"


def fill(disk: Path) -> Path:
    """Fills a disk to the last block, and returns the file that takes it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1 << 16)):
            pass
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while file.write(b"\0"):
            pass
    return filler


def starts(worker: WorkerProcess) -> Iterator[str]:
    """Starts jobs, and yields their ids until one is refused; then what is said of it."""
    while True:
        said = worker.start(["true"])
        yield said
        if ":" in said:
            return


async def full_disk(disk: Path) -> None:
    """Starts are refused; jobs run on, and their ends are known: now, after a crash, and once there is room."""
    gates = [Gate(Path(tempfile.mkdtemp(), "gate")) for _ in range(20)]
    async with state_directory(disk / "state") as state:
        with WorkerProcess(state) as held:
            jobs = [held.start_line(f"echo hi; read -r _ <{gate.path}; exit 5")[0] for gate in gates]
            filler = fill(disk)
            *started, said = starts(held)
            assert said == FULL, said
            for gate, job_id in zip(gates[:10], jobs, strict=False):
                gate.open()
                assert held.wait(job_id) == "failed"
            logs = {path.stem for path in (state / "logs").iterdir()}
            assert logs == {*jobs, *started}, logs
        # It may be refused, clearly, but it harms nothing.
        with suppress(ResourceExhaustedError, JobStoreError):
            async with Worker(state_dir=state, keep_jobs=True) as worker:
                assert [(await worker.get(job_id)).exit_code for job_id in jobs] == [5] * 10 + [None] * 10
        filler.unlink()
        async with Worker(state_dir=state) as worker:
            assert (await worker.wait((await worker.start(["true"])).id)).state is JobState.SUCCEEDED
            for gate in gates[10:]:
                gate.open()
            for job_id in jobs:
                assert (await worker.wait(job_id)).outcome == Exited(5)
                assert await read_all(worker, job_id) == b"hi\n"
            ended = [await worker.wait(job_id) for job_id in started]
            assert {job.state for job in ended} <= {JobState.SUCCEEDED}, ended


async def full_disk_and_a_killed_supervisor(disk: Path) -> None:
    """Its jobs are known to be lost, and starts are made again once there is room."""
    async with state_directory(disk / "state") as state, Worker(state_dir=state) as worker:
        jobs = [await worker.start(sh("echo hi; exec sleep 1000")) for _ in range(20)]
        for job in jobs:
            await read_lines(worker, job.id)
        filler = fill(disk)
        with supervisor_handle(state) as supervisor:
            kill(supervisor)
        for job in jobs:
            assert isinstance((await worker.wait(job.id)).outcome, Lost)
        # The records of the lost jobs have left some room.
        with pytest.raises(ResourceExhaustedError, match="disk space"):
            while True:
                await worker.start(["true"])
        filler.unlink()
        assert (await worker.wait((await worker.start(["true"])).id)).state is JobState.SUCCEEDED
        assert [await read_all(worker, job.id) for job in jobs] == [b"hi\n"] * 20


async def no_more_processes(directory: Path) -> None:
    """Starts are refused; jobs run on, and are known to be lost when there is no process for another supervisor."""
    old = resource.getrlimit(resource.RLIMIT_NPROC)
    async with state_directory(directory / "state") as state:
        with pytest.raises(ResourceExhaustedError, match="processes"):
            async with Worker(state_dir=state) as worker:
                job = await worker.start(sh("echo $$; exec sleep 1000"))
                await read_lines(worker, job.id)
                with supervisor_handle(state) as supervisor:
                    resource.prlimit(supervisor.pid, resource.RLIMIT_NPROC, (1, old[1]))
                    with pytest.raises(ResourceExhaustedError, match="processes"):
                        await worker.start(["true"])
                    assert len((await worker.list()).jobs) == 1
                    resource.prlimit(supervisor.pid, resource.RLIMIT_NPROC, old)
                    assert (await worker.wait((await worker.start(["true"])).id)).state is JobState.SUCCEEDED
                    resource.setrlimit(resource.RLIMIT_NPROC, (1, old[1]))
                    kill(supervisor)
                await asyncio.get_running_loop().create_future()
        assert leftovers(state).processes == (), leftovers(state)
        resource.setrlimit(resource.RLIMIT_NPROC, old)
        async with Worker(state_dir=state) as worker:
            assert isinstance((await worker.get(job.id)).outcome, Lost)


SCENARIOS: dict[str, Callable[[Path], Coroutine[None, None, None]]] = {
    scenario.__name__: scenario for scenario in (full_disk, full_disk_and_a_killed_supervisor, no_more_processes)
}


def main() -> None:
    """Runs the scenario that the arguments name, in a directory."""
    os.environ.pop("JOBWORKER_FAILPOINT", None)
    asyncio.run(SCENARIOS[sys.argv[1]](Path(sys.argv[2])))
