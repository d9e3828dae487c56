"""Worker and supervisor crash at every step where it would hurt; nothing is lost, run twice, or left behind."""

# ruff: noqa: ASYNC240 - small files on a local disk

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import jobworker.worker
from jobworker.supervisor import cgroups, failpoints
from jobworker.worker import Exited, JobState, Lost, Worker
from jobworker_testing import suspend
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
from worker_support import read_all

if TYPE_CHECKING:
    from collections.abc import Container

    from worker_support import Gate

MODES = ["auto", "off"]
# How often a job has run by the time that its supervisor crashes at a step: the process may be killed before it does.
RUNS: dict[str, Container[int]] = {
    failpoints.RECORDED: {0},
    failpoints.SPAWNED: {0, 1},
    failpoints.REPORTED: {0, 1},
    failpoints.EXITED: {1},
    failpoints.EXIT_RECORDED: {1},
}
# The steps that a worker comes to as it takes over a job that has ended, whose supervisor is alive, or dead.
TAKING_OVER = (failpoints.TOLD_STARTED, failpoints.TOLD_EXITED, failpoints.KEPT)
BURYING = (failpoints.TOLD_EXITED, failpoints.BURIED)


async def settled(state: Path, cgroup_root: str, count: Path) -> None:
    """Retries the start, many times at once, and checks that it is one job that ran once, with all that it wrote."""
    async with Worker(state_dir=state, cgroup_root=cgroup_root) as worker:
        retries = (worker.start(counting(count), request_id=REQUEST) for _ in range(20))
        (job_id,) = {job.id for job in await asyncio.gather(*retries)}
        job = await worker.wait(job_id)
        assert job == await only_job(worker)
        if not isinstance(job.outcome, Lost):
            assert (job.outcome, runs(count)) == (Exited(7), 1)
            assert await read_all(worker, job_id) == b"hi\n"
        root = worker.cgroup_root
        assert not root or not Path(root, f"{cgroups.PREFIX}{job_id}").exists()
    assert leftovers(state) == Leftovers((), (), None)
    assert {path.stem for path in (state / "logs").iterdir()} <= {job_id}
    async with Worker(state_dir=state, cgroup_root=cgroup_root) as worker:
        assert await only_job(worker) == job


@pytest.mark.parametrize("step", [step for step in failpoints.WORKER_STEPS if step != failpoints.BURIED])
@pytest.mark.parametrize("cgroup_root", MODES)
async def test_a_worker_that_crashes(state: Path, tmp_path: Path, step: str, cgroup_root: str) -> None:
    """The start is made once, before or after the crash, and its outcome is known."""
    count = tmp_path / "count"
    with WorkerProcess(state, failpoint=step, cgroup_root=cgroup_root) as held:
        held.ask("start", *counting(count), request_id=REQUEST)
        held.die()
    await settled(state, cgroup_root, count)
    assert runs(count) == 1


@pytest.mark.parametrize("step", TAKING_OVER)
async def test_a_worker_that_crashes_as_it_takes_over(state: Path, tmp_path: Path, gate: Gate, step: str) -> None:
    """What the one before it has left is still there for the next."""
    count = tmp_path / "count"
    command = counting(count, f"read -r _ <{gate.path}; exit 7")
    with WorkerProcess(state) as held:
        job_id = held.start(command, REQUEST)
        # So that the supervisor has something to do still, and goes on.
        held.start(["sleep", "1000"])
    if step != failpoints.TOLD_STARTED:
        with WorkerProcess(state, failpoint=failpoints.TOLD_EXITED) as held:
            gate.open()
            held.die()
    WorkerProcess(state, failpoint=step).crash()
    gate.open()
    async with Worker(state_dir=state) as worker:
        assert (await worker.start(command, request_id=REQUEST)).id == job_id
        assert (await worker.wait(job_id)).outcome == Exited(7)
        assert await read_all(worker, job_id) == b"hi\n"
    assert runs(count) == 1


@pytest.mark.parametrize("step", BURYING)
async def test_a_worker_that_crashes_as_it_buries(state: Path, tmp_path: Path, step: str) -> None:
    """What is known of a dead supervisor's jobs is still there for the next."""
    count = tmp_path / "count"
    with WorkerProcess(state, failpoint=failpoints.EXIT_RECORDED, mortal=True) as held:
        held.ask("start", *counting(count), request_id=REQUEST)
        held.die()
    WorkerProcess(state, failpoint=step).crash()
    await settled(state, "auto", count)
    assert runs(count) == 1


@pytest.mark.parametrize("step", failpoints.SUPERVISOR_STEPS)
@pytest.mark.parametrize("cgroup_root", MODES)
async def test_a_supervisor_that_crashes(state: Path, tmp_path: Path, step: str, cgroup_root: str) -> None:
    """The worker lives, and answers; the job is lost unless its end was recorded, and is never run again."""
    count = tmp_path / "count"
    with WorkerProcess(state, failpoint=step, cgroup_root=cgroup_root) as held, supervisor_handle(state) as supervisor:
        job_id = held.start(counting(count), REQUEST)
        assert held.wait(job_id) == "failed"
        supervisor.wait()
        assert held.start(counting(count), REQUEST) == job_id
    await settled(state, cgroup_root, count)
    assert runs(count) in RUNS[step]
    async with Worker(state_dir=state) as worker:
        assert isinstance((await only_job(worker)).outcome, Exited if step == failpoints.EXIT_RECORDED else Lost)


@pytest.mark.parametrize("step", failpoints.SUPERVISOR_STEPS)
@pytest.mark.parametrize("cgroup_root", MODES)
async def test_a_supervisor_that_crashes_with_its_worker(
    state: Path, tmp_path: Path, step: str, cgroup_root: str
) -> None:
    """Nobody was told anything; the next worker finds out, and a retry never runs it again."""
    count = tmp_path / "count"
    with WorkerProcess(state, failpoint=step, cgroup_root=cgroup_root, mortal=True) as held:
        held.ask("start", *counting(count), request_id=REQUEST)
        held.die()
    await settled(state, cgroup_root, count)
    assert runs(count) in RUNS[step]
    async with Worker(state_dir=state) as worker:
        assert isinstance((await only_job(worker)).outcome, Exited if step == failpoints.EXIT_RECORDED else Lost)


@pytest.mark.parametrize("step", [failpoints.EXITED, failpoints.EXIT_RECORDED])
async def test_a_supervisor_that_crashes_alone(state: Path, gate: Gate, step: str) -> None:
    """While no worker is there, its records tell the next one how far it came."""
    with WorkerProcess(state, failpoint=step) as held:
        job_id, _ = held.start_line(f"echo hi; read -r _ <{gate.path}; exit 7")
        other, _ = held.start_line("echo hi; exec sleep 1000")
    with supervisor_handle(state) as supervisor:
        gate.open()
        supervisor.wait()
    async with Worker(state_dir=state) as worker:
        job = await worker.get(job_id)
        assert job.outcome == Exited(7) if step == failpoints.EXIT_RECORDED else isinstance(job.outcome, Lost)
        assert isinstance((await worker.get(other)).outcome, Lost)
        assert [await read_all(worker, one) for one in (job_id, other)] == [b"hi\n"] * 2


@pytest.mark.parametrize("step", [failpoints.STORED, failpoints.ASKED])
async def test_a_start_that_the_supervisor_never_heard_of(state: Path, tmp_path: Path, step: str) -> None:
    """If both die before it is begun, the retry makes it: this host knows that it was not."""
    count = tmp_path / "count"
    with WorkerProcess(state, failpoint=step) as held, supervisor_handle(state) as supervisor:
        suspend(supervisor.pid)
        held.ask("start", *counting(count), request_id=REQUEST)
        held.die()
        kill(supervisor)
    await settled(state, "auto", count)
    assert runs(count) == 1


async def test_a_start_under_way_when_the_host_is_restarted(state: Path, tmp_path: Path) -> None:
    """Nobody knows whether it ran, and so it is lost: a power cut takes records that were not on the disk."""
    count = tmp_path / "count"
    with WorkerProcess(state, failpoint=failpoints.STORED) as held:
        held.ask("start", *counting(count), request_id=REQUEST)
        held.die()
    (state / "boot_id").write_text("another")
    await settled(state, "auto", count)
    assert runs(count) == 0
    async with Worker(state_dir=state) as worker:
        job = await only_job(worker)
        assert job.state is JobState.FAILED
        assert "the host was restarted while it was being started: it may or may not have run" in repr(job.outcome)


def test_all_steps_are_crashed_at() -> None:
    """Each name is of a step that the tests above go through, and that one place in the sources comes to."""
    names = {name: value for name, value in vars(failpoints).items() if name.isupper() and isinstance(value, str)}
    del names["VARIABLE"]
    assert sorted(names.values()) == sorted([*failpoints.WORKER_STEPS, *failpoints.SUPERVISOR_STEPS])
    assert set(failpoints.SUPERVISOR_STEPS) == set(RUNS)
    library = Path(jobworker.worker.__file__).parents[1]
    sources = "".join(path.read_text() for path in sorted(library.rglob("*.py")))
    reached = re.findall(r"failpoints\.reach\(failpoints\.(\w+)\)", sources)
    assert sorted(reached) == sorted(names)
