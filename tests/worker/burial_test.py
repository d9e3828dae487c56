"""What is left of jobs whose supervisor is dead: found, killed, and told as lost, and nobody else is harmed."""

# ruff: noqa: ASYNC220, ASYNC240, PT012 - small local files; processes without a wait; a whole `async with` must fail

from __future__ import annotations

import json
import os
import subprocess
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobworker.supervisor import failpoints
from jobworker.supervisor.cgroups import own_cgroup
from jobworker.supervisor.records import start_ticks
from jobworker.worker import Exited, Lost, ResourceExhaustedError, StateDirectoryError, Worker
from jobworker.worker.sqlite_backlog import Backlog
from jobworker_testing import ProcessHandle
from restart_support import WorkerProcess, kill, only_job, records_of, supervisor_handle
from worker_support import read_all, sh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker_support import Gate

# Where what is edited stands in a record: the line, and the place in it.
BOOT_ID, CGROUP, PID, TIME_NS, START_TICKS = (0, 0), (0, 1), (1, 2), (1, 3), (1, 4)


@contextmanager
def killed(state: Path, script: str = "echo hi; exec sleep 1000") -> Iterator[tuple[str, Path]]:
    """Runs a job, kills its worker and its supervisor, and gives its id and the path of its record."""
    with WorkerProcess(state) as held, supervisor_handle(state) as supervisor:
        job_id, _ = held.start_line(script)
        held.kill()
        kill(supervisor)
    yield job_id, state / "records" / job_id


def edit(record: Path, place: tuple[int, int], value: object) -> None:
    """Changes a record."""
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    lines[place[0]][place[1]] = value
    record.write_text("".join(json.dumps(line) + "\n" for line in lines))


async def test_a_restarted_host(state: Path) -> None:
    """The ids of processes in the record are other processes' now, which get no signal; the message says why."""
    with (
        subprocess.Popen(["sleep", "1000"], env={"PATH": os.defpath}) as innocent,
        killed(state) as (job_id, record),
    ):
        edit(record, BOOT_ID, "another")
        edit(record, PID, innocent.pid)
        edit(record, START_TICKS, start_ticks(innocent.pid))
        async with Worker(state_dir=state) as worker:
            job = await worker.get(job_id)
            assert job.outcome == Lost("the host was restarted while the job ran")
            assert await read_all(worker, job_id) == b"hi\n"
        assert innocent.poll() is None
        innocent.kill()


async def test_a_recycled_process_id(state: Path) -> None:
    """A process that has the id of a job's, and another start time, gets no signal."""
    with (
        subprocess.Popen(["sleep", "1000"], env={"PATH": os.defpath}) as innocent,
        killed(state) as (job_id, record),
    ):
        edit(record, PID, innocent.pid)
        async with Worker(state_dir=state) as worker:
            assert (await worker.get(job_id)).outcome == Lost("its supervisor was killed while the job ran")
        assert innocent.poll() is None
        innocent.kill()


async def test_a_record_that_names_another_cgroup(state: Path) -> None:
    """All in a job's cgroup is killed; so it is only taken for one if it has the job's name."""
    if not (own := own_cgroup()) or not os.access(own, os.W_OK):
        pytest.skip("no cgroup can be made here")
    cgroup = Path(own, f"test-{uuid.uuid4()}")
    cgroup.mkdir()
    with subprocess.Popen(["sleep", "1000"], env={"PATH": os.defpath}) as innocent:
        (cgroup / "cgroup.procs").write_text(str(innocent.pid))
        with killed(state) as (job_id, record):
            edit(record, CGROUP, os.fspath(cgroup))
            async with Worker(state_dir=state) as worker:
                assert isinstance((await worker.get(job_id)).outcome, Lost)
        assert innocent.poll() is None
        innocent.kill()
    cgroup.rmdir()


@pytest.mark.parametrize("keep", [0, 1, 30, 200])
async def test_a_torn_record(state: Path, keep: int) -> None:
    """The job is found by the marks that its processes carry, and killed."""
    script = "setsid sleep 1000 & echo $$ $!; exec sleep 1000"
    with WorkerProcess(state) as held, supervisor_handle(state) as supervisor:
        job_id, pids = held.start_line(script)
        held.kill()
        kill(supervisor)
    record = state / "records" / job_id
    record.write_bytes(record.read_bytes()[:keep])
    leader, escaped = map(ProcessHandle, map(int, pids.split()))
    with leader, escaped:
        async with Worker(state_dir=state) as worker:
            assert isinstance((await worker.get(job_id)).outcome, Lost)
            assert leader.has_exited()
            assert escaped.has_exited()


async def test_a_record_that_is_a_directory(state: Path) -> None:
    """What can't be read or removed keeps no worker from opening, now or later."""
    with killed(state) as (job_id, record):
        record.unlink()
        record.mkdir()
        for _ in range(2):
            async with Worker(state_dir=state) as worker:
                assert isinstance((await worker.get(job_id)).outcome, Lost)
        record.rmdir()


async def test_a_record_of_an_unknown_job(state: Path) -> None:
    """The job store was replaced: nobody will ever ask for the job, so it is killed, and its output goes."""
    with killed(state, "echo $$; exec sleep 1000") as (job_id, record):
        pid = int((state / "logs" / f"{job_id}.stdout").read_text())
        for file in state.glob("jobs.sqlite*"):
            file.unlink()
        with ProcessHandle(pid) as process:
            async with Worker(state_dir=state) as worker:
                assert process.has_exited()
                assert (await worker.list()).jobs == ()
        assert not record.exists()
        assert list((state / "logs").iterdir()) == []


async def test_an_unknown_job_of_a_supervisor_that_lives(state: Path) -> None:
    """Likewise."""
    with WorkerProcess(state) as held:
        job_id, pid = held.start_line("echo $$; exec sleep 1000")
    for file in state.glob("jobs.sqlite*"):
        file.unlink()
    with ProcessHandle(int(pid)) as process:
        async with Worker(state_dir=state) as worker:
            process.wait()
            assert (await worker.list()).jobs == ()
    assert list((state / "logs").iterdir()) == []
    assert job_id


async def test_a_job_that_its_supervisor_does_not_know(state: Path, gate: Gate) -> None:
    """Nothing is RUNNING that isn't: a store that was brought back from before an end, say."""
    async with Worker(state_dir=state, keep_jobs=True) as worker:
        job = await worker.start(sh('read -r _ <"$1"', gate.path))
        store = (state / "jobs.sqlite").read_bytes(), (state / "jobs.sqlite-wal").read_bytes()
        gate.open()
        await worker.wait(job.id)
        await worker.start(["sleep", "1000"])
    for name, content in zip(("jobs.sqlite", "jobs.sqlite-wal"), store, strict=True):
        (state / name).write_bytes(content)
    async with Worker(state_dir=state) as worker:
        assert (await only_job(worker)).outcome == Lost("its supervisor does not know it")


@pytest.mark.parametrize("is_lost", [False, True])
async def test_a_clock_that_was_set_back(state: Path, *, is_lost: bool) -> None:
    """A job that was started in the future, by what the clock says now, ends no earlier than it was started."""
    step = failpoints.REPORTED if is_lost else failpoints.TOLD_STARTED
    with WorkerProcess(state, failpoint=step, mortal=True) as held, supervisor_handle(state) as supervisor:
        held.ask("start", "true")
        held.die()
        supervisor.wait()
    future = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1000)
    (record,) = records_of(state)
    edit(record, TIME_NS, int(future.timestamp()) * 10**9)
    async with Worker(state_dir=state) as worker:
        job = await only_job(worker)
        assert isinstance(job.outcome, Lost) if is_lost else job.outcome == Exited(0)
        assert job.start_time == job.end_time == future


async def test_an_end_that_the_store_has_not_written(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record stays until it has: a worker that is killed meanwhile would take the end with it."""
    with WorkerProcess(state, failpoint=failpoints.EXIT_RECORDED, mortal=True) as held:
        held.ask("start", "true")
        held.die()
    (record,) = records_of(state)

    def full(*_: object) -> None:
        raise ResourceExhaustedError("disk space", "free some")

    with monkeypatch.context() as patched:
        patched.setattr(Backlog, "_save", full)
        with pytest.raises(ResourceExhaustedError):
            async with Worker(state_dir=state) as worker:
                assert (await only_job(worker)).outcome == Exited(0)
                assert record.exists()
    async with Worker(state_dir=state) as worker:
        assert (await only_job(worker)).outcome == Exited(0)
        assert not record.exists()


async def test_a_records_directory_that_is_none(state: Path) -> None:
    """A clear error; nothing is started."""
    state.mkdir(mode=0o700)
    (state / "records").write_text("")
    with pytest.raises(StateDirectoryError, match="is no directory"):
        await Worker(state_dir=state).__aenter__()
    (state / "records").unlink()
