"""A job's processes end with it: all of its process group, and no other process, ever."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import Exited, Job, JobState, Signaled, Worker
from jobworker_testing import ProcessHandle
from worker_support import library_environment, marked_processes, python, read_lines, sh

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worker_support import Gate

IGNORE_ALL = "trap '' HUP INT QUIT USR1 USR2 PIPE ALRM TERM TSTP TTIN TTOU; "
FAMILY = """
sleep 1000 &
echo $!
sh -c 'sleep 1000 & echo $!; echo $$; wait' &
wait
"""

# A supervisor's children, watched by Python's own audit events: each signal that it sends, and to what.
WATCHED = """
import os, sys
from jobworker.supervisor.children import Children
from jobworker.supervisor.protocol import Start
from jobworker.supervisor.spawn import given_environment, spawn

sent = []

def watch(event, arguments):
    if event in ("os.kill", "os.killpg"):
        pid = arguments[0]
        with open(f"/proc/{pid}/stat") as file:
            parent = int(file.read().rsplit(")", 1)[1].split()[1])
        assert parent == os.getpid(), f"{event}{arguments}: not an unreaped child"
        sent.append(pid)

sys.addaudithook(watch)
children, null = Children(), os.open(os.devnull, os.O_RDONLY)

def start(job_id, script):
    log = f"{sys.argv[1]}/{job_id}"
    pid = spawn(Start(job_id, ["sh", "-c", script], log + ".out", log + ".err"), null, given_environment())
    children.add(job_id, pid)
    return pid

def reap(count):
    ended = []
    while len(ended) < count:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        ended += children.reap()
    return ended
"""


@contextmanager
def handles(pids: list[str]) -> Iterator[list[ProcessHandle]]:
    """Holds on to processes that live, so that their end is seen whoever gets their ids next."""
    with ExitStack() as stack:
        yield [stack.enter_context(ProcessHandle(int(pid))) for pid in pids]


def watched(tmp_path: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Runs source with a supervisor's children in a process of its own."""
    command = [sys.executable, "-c", WATCHED + source, str(tmp_path)]
    return subprocess.run(command, env=library_environment(), capture_output=True, text=True, check=False)


async def test_stop_kills_children_and_grandchildren(worker: Worker) -> None:
    """When stop returns, none of the job's processes is left."""
    job = await worker.start(sh(FAMILY))
    with handles(await read_lines(worker, job.id, 3)) as family:
        assert len(marked_processes(f"JOBWORKER_JOB_ID={job.id}")) == 4
        assert (await worker.stop(job.id)).state is JobState.STOPPED
        assert [process.has_exited() for process in family] == [True] * 3
    assert marked_processes(f"JOBWORKER_JOB_ID={job.id}") == []


async def test_stop_kills_what_ignores_all_signals(worker: Worker) -> None:
    """No politeness helps a job that does not listen; its children ignore what it ignores."""
    job = await worker.start(sh(IGNORE_ALL + FAMILY))
    with handles(await read_lines(worker, job.id, 3)) as family:
        stopped = await worker.stop(job.id)
        assert [process.has_exited() for process in family] == [True] * 3
    assert stopped.outcome == Signaled(signal.SIGKILL, by_stop=True)


async def test_stop_kills_suspended_processes(worker: Worker) -> None:
    """A process that SIGSTOP holds dies all the same."""
    job = await worker.start(sh("echo $$; " + FAMILY))
    pids = await read_lines(worker, job.id, 4)
    with handles(pids) as family:
        os.killpg(int(pids[0]), signal.SIGSTOP)
        assert (await worker.stop(job.id)).state is JobState.STOPPED
        assert [process.has_exited() for process in family] == [True] * 4


async def test_a_suspended_job_runs(worker: Worker) -> None:
    """Neither SIGSTOP nor SIGCONT is an end."""
    job = await worker.start(sh("echo $$; read -r _ < /dev/null; exec sleep 1000"))
    (pid,) = await read_lines(worker, job.id)
    for number in (signal.SIGSTOP, signal.SIGCONT):
        os.kill(int(pid), number)
        # The next start's answer comes after what the supervisor made of the signal.
        await worker.wait((await worker.start(["true"])).id)
        assert (await worker.get(job.id)).state is JobState.RUNNING


async def test_leftovers_end_with_the_first_process(worker: Worker, gate: Gate) -> None:
    """What the first process leaves in its group is gone when wait returns, and spoils its exit code in no way."""
    leave = f"sleep 1000 & echo $!; (trap '' HUP TERM; sleep 1000 & echo $!; wait) & read -r _ < {gate.path}; exit 5"
    job = await worker.start(sh(leave))
    with handles(await read_lines(worker, job.id, 2)) as leftovers:
        gate.open()
        ended = await worker.wait(job.id)
        assert [process.has_exited() for process in leftovers] == [True] * 2
    assert (ended.state, ended.outcome) == (JobState.FAILED, Exited(5))


async def test_a_job_that_forks_without_end_is_stopped(worker: Worker) -> None:
    """A chain of processes, each of which leaves another and exits, doesn't outrun the signal."""
    chain = "import os\nos.write(1, b'ready\\n')\nwhile True:\n if os.fork(): os._exit(0)"
    job = await worker.start(sh('"$@" & wait; exec sleep 1000', *python(chain)))
    await read_lines(worker, job.id)
    assert (await worker.stop(job.id)).state is JobState.STOPPED
    assert marked_processes(f"JOBWORKER_JOB_ID={job.id}") == []


async def test_stops_at_once_are_one(worker: Worker) -> None:
    """Ten callers get the same finished job, with the time of the first request."""
    job = await worker.start(["sleep", "1000"])
    first, *others = await asyncio.gather(*(worker.stop(job.id) for _ in range(10)))
    assert first.state is JobState.STOPPED
    assert others == [first] * 9


@pytest.mark.parametrize("code", [0, 3])
async def test_stopping_a_finished_job_changes_nothing(worker: Worker, code: int) -> None:
    """It succeeds and reports how the job ended by itself."""
    ended = await worker.wait((await worker.start(sh(f"exit {code}"))).id)
    assert await worker.stop(ended.id) == ended
    assert ended.exit_code == code


def consistent(job: Job) -> bool:
    """Whether a job that exits 0 by itself or is stopped says the one or the other throughout."""
    return (job.state, job.outcome) in {
        (JobState.SUCCEEDED, Exited(0)),
        (JobState.STOPPED, Signaled(signal.SIGKILL, by_stop=True)),
    }


async def test_a_stop_that_races_the_end_tells_the_truth(worker: Worker) -> None:
    """Whoever wins, state and outcome agree: over many jobs and many delays of the stop."""

    async def race(delay: int) -> Job:
        job = await worker.start(["true"])
        for _ in range(delay):
            await asyncio.sleep(0)
        stopped = await worker.stop(job.id)
        assert await worker.get(job.id) == stopped
        return stopped

    for _ in range(10):
        jobs = await asyncio.gather(*map(race, range(12)))
        assert [job for job in jobs if not consistent(job)] == []


def test_a_signal_reaches_unreaped_children_alone(tmp_path: Path) -> None:
    """However a job ended, nothing is sent to an id that the kernel may have given to somebody else."""
    run = watched(
        tmp_path,
        """
natural = start("natural", "exit 3")
reap(1)
children.kill("natural")
children.kill("never started")
assert sent == [natural], sent

family = start("family", "sleep 1000 & sleep 1000 & exit 0")
(end,) = reap(1)
children.kill("family")
assert sent == [natural, family], sent
assert (end.code, end.signal, end.by_stop) == (0, None, False), end

stopped = start("stopped", "sleep 1000")
children.kill("stopped")
children.kill("stopped")
(end,) = reap(1)
children.kill("stopped")
assert end.by_stop
assert set(sent[2:]) == {stopped}, sent
""",
    )
    assert (run.stderr, run.returncode) == ("", 0)


def test_a_zombie_is_not_taken_for_stopped(tmp_path: Path) -> None:
    """A job that exited before the stop came, but was not reaped yet, has exited by itself."""
    run = watched(
        tmp_path,
        """
zombie = start("zombie", "exit 0")
os.waitid(os.P_PID, zombie, os.WEXITED | os.WNOWAIT)
children.kill("zombie")
assert sent == []
(end,) = reap(1)
assert (end.code, end.by_stop) == (0, False), end
""",
    )
    assert (run.stderr, run.returncode) == ("", 0)


def test_an_own_sigkill_is_not_taken_for_a_stop(tmp_path: Path) -> None:
    """SIGKILL from elsewhere is a failure, though a stop would have sent the same."""
    run = watched(
        tmp_path, 'start("own", "kill -9 $$")\n(end,) = reap(1)\nassert (end.signal, end.by_stop) == (9, False)'
    )
    assert (run.stderr, run.returncode) == ("", 0)
