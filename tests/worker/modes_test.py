"""A job's end leaves nothing behind, whatever its processes do to get away: the same with and without cgroups."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import Exited, Job, JobState, Signaled, Worker
from process_support import FOREVER, LEAVING, alive, handles, leaver, waiting_at
from worker_support import Gate, leaves_nothing, library_environment, marked_processes, python, read_lines, sh

if TYPE_CHECKING:
    from pathlib import Path

    from jobworker_testing import ProcessHandle

BOTH_MODES = True

# Up to as many processes as it is told, each of which makes others until there are so many; every third one leaves the
# session, and every fifth its parents. Says so when a third of them is there.
BOMB = """
import os, signal, sys
count = int(sys.argv[1])
reading, writing = os.pipe2(os.O_NONBLOCK)
os.write(writing, bytes(number % 15 for number in range(count)))
while True:
    try:
        kind = os.read(reading, 1)[0]
    except BlockingIOError:
        signal.pause()
    if kind == 1:
        os.write(1, b".\\n")
    if os.fork() == 0:
        if kind % 3 == 0:
            os.setsid()
        if kind % 5 == 0 and os.fork():
            os._exit(0)
"""
BOMB_SIZE = 300

# Each process makes the next one and exits, in a session of its own; and in one of its own each, if so told.
CHAIN = """
import os, sys
if os.fork() == 0:
    os.setsid()
    os.write(1, b"ready\\n")
    for _ in range(100_000):
        if os.fork():
            os._exit(0)
        if sys.argv[1:]:
            os.setsid()
    os._exit(0)
os.wait()
"""


async def started(worker: Worker, command: list[str], count: int) -> tuple[Job, list[str]]:
    """Starts a job and waits for its first lines."""
    job = await worker.start(command)
    return job, await read_lines(worker, job.id, count)


@pytest.mark.parametrize("way", LEAVING)
async def test_a_stop_ends_what_has_left(worker: Worker, way: str) -> None:
    """When it answers, the process that left is gone, and was counted."""
    job, pids = await started(worker, leaver([way], FOREVER), 1)
    with handles(pids) as left:
        stopped = await worker.stop(job.id)
        assert alive(left) == []
    assert (stopped.state, stopped.killed_processes) == (JobState.STOPPED, 1)


@pytest.mark.parametrize("way", LEAVING)
async def test_a_job_s_own_end_ends_what_has_left(worker: Worker, gate: Gate, way: str) -> None:
    """So does the first process's exit, whose code it keeps."""
    job, pids = await started(worker, leaver([way], f"{waiting_at(gate.path)}; sys.exit(3)"), 1)
    with handles(pids) as left:
        gate.open()
        ended = await worker.wait(job.id)
        assert alive(left) == []
    assert (ended.outcome, ended.killed_processes) == (Exited(3), 1)


async def test_all_ways_at_once(worker: Worker) -> None:
    """One of each, and the stop of the job leaves none."""
    job, pids = await started(worker, leaver(LEAVING, FOREVER), len(LEAVING))
    with handles(pids) as left:
        assert (await worker.stop(job.id)).killed_processes == len(LEAVING)
        assert alive(left) == []


async def test_a_clean_job_left_nothing(worker: Worker) -> None:
    """Processes that it has waited for are none that were left, nor is one that exited before the end did."""
    zombie = python("import os\nos.fork() or os._exit(0)\nos.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)")
    commands = [["true"], sh("true; (sleep 0 & wait); ls / | sort | wc -l"), zombie]
    for command in commands:
        ended = await worker.wait((await worker.start(command)).id)
        assert (ended.state, ended.killed_processes) == (JobState.SUCCEEDED, 0)


@pytest.mark.parametrize("count", [1, 20])
async def test_parents_that_wait_do_not_change_the_count(worker: Worker, count: int) -> None:
    """A killed parent may reap a killed child before it dies itself; the child counts all the same."""
    source = "import os, signal\nfor _ in range(%d): os.fork() or signal.pause()\nprint('ready', flush=True)\nos.wait()"
    job, _ = await started(worker, sh('"$@" & wait', *python(source % count)), 1)
    assert (await worker.stop(job.id)).killed_processes == count + 1


async def test_a_fork_bomb_is_stopped_while_it_forks(worker: Worker) -> None:
    """None of its processes outlives the answer, wherever they are by then."""
    for _ in range(3):
        job, _ = await started(worker, python(BOMB, str(BOMB_SIZE)), BOMB_SIZE // 45)
        assert (await worker.stop(job.id)).state is JobState.STOPPED
        assert marked_processes(f"JOBWORKER_JOB_ID={job.id}") == []


async def test_a_fork_bomb_that_has_gone_off(worker: Worker) -> None:
    """Nor when all of them are there, and wait."""
    job, _ = await started(worker, python(BOMB, str(BOMB_SIZE)), BOMB_SIZE // 15)
    stopped = await worker.stop(job.id)
    assert marked_processes(f"JOBWORKER_JOB_ID={job.id}") == []
    assert stopped.killed_processes > BOMB_SIZE // 2


@pytest.mark.parametrize("sessions", ["one", "each"])
async def test_a_chain_of_processes_is_not_faster(worker: Worker, sessions: str) -> None:
    """In a session of its own, each process of it lives no longer than it takes to make the next one."""
    job, _ = await started(worker, python(CHAIN, *(["own"] if sessions == "each" else [])), 1)
    await worker.stop(job.id)
    assert marked_processes(f"JOBWORKER_JOB_ID={job.id}") == []


async def test_suspended_processes_are_killed(worker: Worker) -> None:
    """Those of the group and those that left it."""
    job, pids = await started(
        worker, leaver(["child", "setsid", "ghost"], f"print(os.getpid(), flush=True)\n{FOREVER}"), 4
    )
    with handles(pids) as family:
        for process in family:
            os.kill(process.pid, signal.SIGSTOP)
        assert (await worker.stop(job.id)).state is JobState.STOPPED
        assert alive(family) == []


async def test_processes_whose_first_thread_has_ended(worker: Worker, gate: Gate) -> None:
    """They look like zombies, and have neither environment nor output any more; each one's other thread is killed."""
    source = """
import ctypes, os, signal, sys, threading
for number in range(6):
    if os.fork() == 0:
        os.setsid()
        if number % 2:
            threading.Thread(target=ctypes.CDLL(None).pause).start()
        os.write(1, b"%d\\n" % os.getpid())
        if number % 2:
            ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
        signal.pause()
"""
    job, pids = await started(worker, python(f"{source}\n{waiting_at(gate.path)}"), 6)
    with handles(pids) as left:
        gate.open()
        ended = await worker.wait(job.id)
        assert alive(left) == []
    assert ended.outcome == Exited(0)
    assert ended.killed_processes == 6


async def test_grandchildren_outlive_their_parents_alone(worker: Worker, gate: Gate) -> None:
    """A generation whose parents are gone ends with its job, as the others do."""
    source = """
import os, signal
for _ in range(3):
    if os.fork() == 0:
        if os.fork() == 0:
            os.write(1, b"%d\\n" % os.getpid())
            signal.pause()
        os._exit(0)
    os.wait()
"""
    job, pids = await started(worker, python(f"{source}\n{waiting_at(gate.path)}"), 3)
    with handles(pids) as orphans:
        gate.open()
        assert (await worker.wait(job.id)).killed_processes == 3
        assert alive(orphans) == []


async def test_a_job_s_end_touches_no_other_job(worker: Worker, tmp_path: Path) -> None:
    """Each of three jobs has processes that left in every way; they end with their own job, whatever its age."""
    gates = [Gate(tmp_path / f"gate{number}") for number in range(3)]
    with ExitStack() as stack:
        families: list[tuple[Job, Gate, list[ProcessHandle]]] = []
        for gate in gates:
            stack.callback(gate.close)
            job, pids = await started(worker, leaver(LEAVING, waiting_at(gate.path)), len(LEAVING))
            families.append((job, gate, stack.enter_context(handles(pids))))
        for job, gate, family in (families.pop(1), families.pop(1), families.pop(0)):
            gate.open()
            assert (await worker.wait(job.id)).killed_processes == len(LEAVING)
            assert alive(family) == []
            assert all(len(alive(other)) == len(LEAVING) for _, _, other in families)


async def test_the_stop_of_one_touches_no_other_job(worker: Worker) -> None:
    """Likewise when jobs are stopped, several at once."""
    started_jobs = [await started(worker, leaver(LEAVING, FOREVER), len(LEAVING)) for _ in range(4)]
    with ExitStack() as stack:
        families = [stack.enter_context(handles(pids)) for _, pids in started_jobs]
        await asyncio.gather(*(worker.stop(started_jobs[number][0].id) for number in (0, 2)))
        assert [len(alive(family)) for family in families] == [0, len(LEAVING), 0, len(LEAVING)]
        await asyncio.gather(*(worker.stop(started_jobs[number][0].id) for number in (1, 3)))
        assert [alive(family) for family in families] == [[]] * 4


async def test_fifty_jobs_are_stopped_at_once(worker: Worker) -> None:
    """Each answer comes when that job's processes are gone, with what left their groups."""
    script = sh("setsid sleep 1000 & echo $!; sleep 1000 & echo $!; exec sleep 1000")
    jobs = await asyncio.gather(*(started(worker, script, 2) for _ in range(50)))

    async def stop(job: Job, pids: list[str]) -> None:
        with handles(pids) as family:
            stopped = await worker.stop(job.id)
            assert alive(family) == []
        assert (stopped.outcome, stopped.killed_processes) == (Signaled(signal.SIGKILL, by_stop=True), 2)

    await asyncio.gather(*(stop(*one) for one in jobs))


async def test_a_stop_right_after_the_start(worker: Worker) -> None:
    """It finds all that the program has made by then, and what it makes while it is killed."""

    async def run() -> None:
        job = await worker.start(sh("for i in 1 2 3 4 5; do setsid sleep 1000 & sleep 1000 & done; wait"))
        assert (await worker.stop(job.id)).state is JobState.STOPPED
        assert marked_processes(f"JOBWORKER_JOB_ID={job.id}") == []

    for _ in range(3):
        await asyncio.gather(*(run() for _ in range(8)))


async def test_a_worker_that_closes_during_starts(cgroup_root: str) -> None:
    """Whatever they have made by then is gone, though the starts were not even answered."""
    async with leaves_nothing():
        async with Worker(cgroup_root=cgroup_root) as worker:
            starts = [asyncio.ensure_future(worker.start(sh("setsid sleep 1000 & wait"))) for _ in range(20)]
            await starts[0]
        await asyncio.gather(*starts, return_exceptions=True)


async def test_a_job_that_runs_jobs_of_its_own(worker: Worker, tmp_path: Path) -> None:
    """What an inner worker's jobs leave behind ends with the outer job, though it carries the inner jobs' ids."""
    source = """
import asyncio, os
from jobworker.worker import Worker
from process_support import FOREVER, LEAVING, leaver

async def main():
    async with Worker() as worker:
        job = await worker.start(leaver(LEAVING, FOREVER))
        lines = 0
        async for frame in worker.read_logs(job.id, "stdout", follow=True):
            os.write(1, frame.data)
            lines += frame.data.count(b"\\n")
            if lines == len(LEAVING):
                break
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
"""
    # A killed worker's directory would be its supervisor's to remove, but that is killed too.
    variables = {**library_environment(), "TMPDIR": str(tmp_path)}
    environment = [f"{name}={value}" for name, value in variables.items()]
    job, pids = await started(worker, ["env", *environment, sys.executable, "-c", source], len(LEAVING))
    with handles(pids) as inner:
        assert (await worker.stop(job.id)).state is JobState.STOPPED
        assert alive(inner) == []
