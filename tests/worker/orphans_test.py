"""Whose a process is that has left its job's group, where there are no cgroups to tell."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from jobworker.supervisor.proc import status
from jobworker.supervisor.spawn import MARK_DIGITS, MARK_LIMIT
from jobworker.worker import JobState, Worker
from process_support import FOREVER, HIDING, alive, handles, leaver, run_source, run_watched, waiting_at
from worker_support import Gate, leaves_nothing, library_environment, marked_processes, python, read_lines, sh

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from jobworker.worker import Job


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    """An open worker without cgroups."""
    async with leaves_nothing(), Worker(cgroup_root="off") as made:
        yield made


@pytest.fixture
def gates(tmp_path: Path) -> Iterator[list[Gate]]:
    """Two gates."""
    made = [Gate(tmp_path / f"gate{number}") for number in range(2)]
    yield made
    for gate in made:
        gate.close()


def mark_of(job: Job) -> int:
    """Returns the limit that says whose a process is."""
    return int(job.id.replace("-", "")[:MARK_DIGITS], 16)


async def started(worker: Worker, ways: list[str], then: str) -> tuple[Job, list[str]]:
    """Starts a job from which processes leave, and returns their ids."""
    job = await worker.start(leaver(ways, then))
    return job, await read_lines(worker, job.id, len(ways))


async def test_a_job_s_processes_carry_its_mark(worker: Worker) -> None:
    """In a limit that means nothing else, and that leaves the hard one, which can't be raised again, as it was."""
    job = await worker.start(sh("sleep 1000 & echo $!; wait"))
    (pid,) = await read_lines(worker, job.id)
    assert resource.prlimit(int(pid), MARK_LIMIT) == (mark_of(job), resource.RLIM_INFINITY)


async def test_the_supervisor_carries_none(worker: Worker) -> None:
    """Not even after a start that was refused."""
    with pytest.raises(Exception, match="no-such-program"):
        await worker.start(["no-such-program"])
    (supervisor,) = [pid for pid in marked_processes() if pid]
    assert resource.prlimit(supervisor, MARK_LIMIT) == (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


async def test_a_job_of_a_job_carries_the_outer_one_s_mark(worker: Worker) -> None:
    """So that the outer job's supervisor finds what the inner one's leaves behind."""
    source = f"import resource, sys; print(resource.getrlimit({MARK_LIMIT})[0])"
    inner = f"""
import asyncio
from jobworker.worker import Worker

async def main():
    async with Worker(cgroup_root="off") as worker:
        job = await worker.start({python(source)!r})
        async for frame in worker.read_logs(job.id, "stdout", follow=True):
            if hasattr(frame, "data"):
                print(frame.data.decode(), end="", flush=True)

asyncio.run(main())
"""
    environment = [f"{name}={value}" for name, value in library_environment().items()]
    outer = await worker.start(["env", *environment, sys.executable, "-c", inner])
    assert await read_lines(worker, outer.id) == [str(mark_of(outer))]
    await worker.wait(outer.id)


def until_younger(pid: int) -> None:
    """Returns once a process that is made now is younger than another: its start is told in steps of 10 ms."""
    while True:
        with subprocess.Popen(["true"]) as made:
            seen, old = status(made.pid), status(pid)
            assert seen is not None
            assert old is not None
            if seen.start_ticks > old.start_ticks:
                return


@pytest.mark.parametrize("way", HIDING)
async def test_what_carries_nothing_is_told_by_its_age(worker: Worker, gates: list[Gate], way: str) -> None:
    """It is older than any job that runs, so it belongs to the one that ends."""
    job, pids = await started(worker, [way], waiting_at(gates[0].path))
    until_younger(int(pids[0]))
    younger = await worker.start(["sleep", "1000"])
    with handles(pids) as left:
        gates[0].open()
        assert (await worker.wait(job.id)).killed_processes == 1
        assert alive(left) == []
    assert (await worker.get(younger.id)).state is JobState.RUNNING


async def test_what_carries_nothing_may_be_an_older_job_s(worker: Worker, gates: list[Gate]) -> None:
    """As long as one runs, it can't be told: it outlives its job, and is killed when the older one ends."""
    older = await worker.start(python(waiting_at(gates[1].path)))
    job, pids = await started(worker, ["renegade", "ghost"], waiting_at(gates[0].path))
    with handles(pids) as (renegade, ghost):
        gates[0].open()
        assert (await worker.wait(job.id)).killed_processes == 1
        assert alive([renegade, ghost]) == [renegade.pid]
        gates[1].open()
        assert (await worker.wait(older.id)).killed_processes == 1
        assert alive([renegade]) == []


async def test_what_carries_nothing_never_outlives_the_worker(gates: list[Gate]) -> None:
    """Whosever it is, it is killed when the supervisor ends."""
    with ExitStack() as stack:
        async with Worker(cgroup_root="off") as worker:
            await worker.start(["sleep", "1000"])
            job, pids = await started(worker, ["renegade"], waiting_at(gates[0].path))
            left = stack.enter_context(handles(pids))
            gates[0].open()
            assert (await worker.wait(job.id)).killed_processes == 0
            assert alive(left) == pids_of(pids)
        assert alive(left) == []


def pids_of(words: list[str]) -> list[int]:
    """Returns process ids."""
    return [int(word) for word in words]


async def test_a_stop_finds_what_descends_from_the_job(worker: Worker) -> None:
    """Though it carries nothing, and an older job runs: its parents were there to be asked."""
    await worker.start(["sleep", "1000"])
    job, pids = await started(worker, ["renegade child"], FOREVER)
    with handles(pids) as left:
        assert (await worker.stop(job.id)).killed_processes == 1
        assert alive(left) == []


async def test_the_end_of_a_younger_job_does_not_touch_it(worker: Worker) -> None:
    """What carries nothing is no older than its own job, which runs."""
    job, pids = await started(worker, ["renegade"], FOREVER)
    with handles(pids) as left:
        for command in (["true"], sh("setsid sleep 1000 & exit 1")):
            await worker.wait((await worker.start(command)).id)
        assert alive(left) == pids_of(pids)
        assert (await worker.stop(job.id)).killed_processes == 1
        assert alive(left) == []


async def test_a_job_in_its_grace_period_has_not_ended(worker: Worker) -> None:
    """Though its first process is gone: what carries nothing may be its own, and no other job's end touches it."""
    source = (
        "if os.fork() == 0: signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)\nsignal.pause()"
    )
    job, pids = await started(worker, ["renegade"], source)
    await read_lines(worker, job.id, 2)
    stop = asyncio.ensure_future(worker.stop(job.id, grace_period=10_000))
    with handles(pids) as left:
        for _ in range(2):
            await worker.wait((await worker.start(["true"])).id)
        assert not stop.done()
        assert alive(left) == pids_of(pids)
        await worker.stop(job.id)
        assert (await stop).killed_processes == 2
        assert alive(left) == []


async def test_a_thousand_orphans(worker: Worker) -> None:
    """They are more than the kernel tells of at once; all are found, and counted."""
    job = await worker.start(
        sh("i=0; while [ $i -lt 1000 ]; do sleep 1000 & i=$((i + 1)); done; echo ready; exec sleep 1000")
    )
    await read_lines(worker, job.id)
    assert (await worker.stop(job.id)).killed_processes == 1000
    assert marked_processes(f"JOBWORKER_JOB_ID={job.id}") == []


@pytest.mark.parametrize("limits", ["(1000, 1000)", "(1000, -1)"])
def test_a_host_that_limits_file_locks_keeps_its_limit(limits: str) -> None:
    """Jobs then carry no mark there, and what has left is found by the others; a ghost by its age."""
    run_source(
        f"""
import asyncio, resource
from jobworker.worker import Worker
from process_support import FOREVER, LEAVING, alive, handles, leaver
from worker_support import leaves_nothing, read_lines

async def main():
    async with leaves_nothing(), Worker(cgroup_root="off") as worker:
        for _ in range(2):
            job = await worker.start(leaver(LEAVING, FOREVER))
            pids = await read_lines(worker, job.id, len(LEAVING))
            assert resource.prlimit(int(pids[0]), {MARK_LIMIT}) == {limits}
            with handles(pids) as left:
                assert (await worker.stop(job.id)).killed_processes == len(LEAVING)
                assert alive(left) == []

resource.setrlimit({MARK_LIMIT}, {limits})
asyncio.run(main())
        """
    )


def test_what_is_remembered_of_a_process_is_of_no_later_one(tmp_path: Path) -> None:
    """Neither of one that was reaped, nor of one whose id another process has by now."""
    run_watched(
        tmp_path,
        """
        from jobworker.supervisor.orphans import _Descendant
        from jobworker.supervisor.proc import status
        orphans = supervisor._jobs._children._orphans
        job = start("sh", "-c", "env -i setsid sleep 1000 <&- >&- 2>&- & echo $!; exec sleep 1000")
        pid = int(lines(job.job_id, 1)[0])
        ticks = status(pid).start_ticks
        assert pid not in children(os.getpid())
        assert orphans.note_descendants([job.pid], job.job_id) == {job.pid, pid}
        assert orphans._descendants[pid] == _Descendant(ticks, job.job_id)
        assert orphans._by_descent(pid) == job.job_id
        orphans._descendants[pid] = _Descendant(ticks - 1, job.job_id)
        assert orphans._by_descent(pid) == ""
        ask(Stop(job.job_id, 0))
        assert until(Exited, job.job_id).killed == 1
        assert (orphans._descendants, orphans._owners, orphans._by_pid, orphans._jobs) == ({}, {}, {}, {})
        """,
    )
