"""A job's processes end with it: all of its process group, and no other process, ever."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from jobworker.supervisor.leader import Leader
from jobworker.worker import Exited, Job, JobState, Signaled, Worker
from process_support import handles, run_watched
from worker_support import granted, marked_processes, python, read_lines, sh

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from worker_support import Gate

BOTH_MODES = True

IGNORE_ALL = "trap '' HUP INT QUIT USR1 USR2 PIPE ALRM TERM TSTP TTIN TTOU; "
FAMILY = """
sleep 1000 &
echo $!
sh -c 'sleep 1000 & echo $!; echo $$; wait' &
wait
"""


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
    run_watched(
        tmp_path,
        """
        natural = start("sh", "-c", "exit 3")
        assert until(Exited, natural.job_id).code == 3
        ask(Stop(natural.job_id, 0), Stop(str(uuid.uuid4()), 0), Stop(natural.job_id, 100))
        turn()
        assert sent == [(-natural.pid, signal.SIGKILL)], sent

        family = start("sh", "-c", "sleep 1000 & sleep 1000 & exit 0")
        end = until(Exited, family.job_id)
        assert (end.code, end.signal, end.by_stop, end.killed) == (0, None, False, 2), end

        stopped = start("sleep", "1000")
        ask(Stop(stopped.job_id, 0), Stop(stopped.job_id, 0))
        end = until(Exited, stopped.job_id)
        ask(Stop(stopped.job_id, 0))
        turn()
        assert (end.signal, end.by_stop) == (9, True), end

        answer = "import os, signal; signal.signal(15, lambda *_: os._exit(5)); print(flush=True); signal.pause()"
        leave = 'setsid sh -c "echo; exec sleep 1000" & exec "$@"'
        graced = start("sh", "-c", leave, "sh", sys.executable, "-ISc", answer)
        lines(graced.job_id, 2)
        ask(Stop(graced.job_id, 1000))
        end = until(Exited, graced.job_id)
        assert (end.code, end.by_stop, end.killed) == (5, True, 1), end
        assert (-graced.pid, signal.SIGTERM) in sent, sent
        """,
    )


def test_a_zombie_is_not_taken_for_stopped(tmp_path: Path) -> None:
    """A job that exited before the stop came, but was not reaped yet, has exited by itself."""
    run_watched(
        tmp_path,
        """
        for grace in (0, 1000):
            zombie = start("sh", "-c", "exit 0")
            exits(zombie.pid)
            ask(Stop(zombie.job_id, grace))
            end = until(Exited, zombie.job_id)
            assert (end.code, end.by_stop) == (0, False), end
        """,
    )


def test_an_own_sigkill_is_not_taken_for_a_stop(tmp_path: Path) -> None:
    """SIGKILL from elsewhere is a failure, though a stop would have sent the same."""
    run_watched(
        tmp_path,
        """
        own = until(Exited, start("sh", "-c", "kill -9 $$").job_id)
        assert (own.signal, own.by_stop) == (9, False), own
        """,
    )


@pytest.mark.parametrize(
    ("asked", "code", "by_stop"),
    [
        (0, 0, False),
        (0, -signal.SIGKILL, False),
        (signal.SIGKILL, -signal.SIGKILL, True),
        (signal.SIGKILL, 0, False),
        (signal.SIGKILL, 3, False),
        (signal.SIGKILL, -signal.SIGSEGV, False),
        (signal.SIGTERM, -signal.SIGTERM, True),
        (signal.SIGTERM, -signal.SIGKILL, True),
        (signal.SIGTERM, 0, True),
        (signal.SIGTERM, 3, True),
    ],
)
def test_what_a_stop_is_the_cause_of(
    asked: Literal[0, signal.Signals.SIGTERM, signal.Signals.SIGKILL], code: int, *, by_stop: bool
) -> None:
    """SIGKILL asks for no answer, so an exit came before it; whatever follows SIGTERM is an answer to it."""
    leader = Leader("", 1, 1, "", ("", ""))
    leader.asked = asked
    assert leader.ended_by_stop(code) == by_stop


def own_process_ids() -> tuple[str, ...]:
    """Returns a command that runs others where they are the only processes, and may say which id is given out next."""
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    command = "unshare", *user, "--pid", "--fork", "--mount-proc"
    granted(*command, "sh", "-c", "echo 4999 > /proc/sys/kernel/ns_last_pid")
    return command


def test_a_recycled_id_of_a_job_that_is_ending(tmp_path: Path) -> None:
    """A new job has the id of one whose first process was reaped, and of which a process is left: each has its end."""
    run_watched(
        tmp_path,
        """
        path = sys.argv[1] + "/left"
        os.mkfifo(path)
        leave = "setsid sh -c 'echo > $0; exec sleep 1000' $0 & read -r _ < $0; exit 3"
        old = start("sh", "-c", leave, path)
        exits(old.pid)
        while old.pid in children(os.getpid()):
            turn()
        assert not [event for event in told if isinstance(event, Exited)], "it ended before its id was given out again"
        claim(old.pid)
        new = start("sleep", "1000")
        assert new.pid == old.pid, (new, old)
        assert until(Exited, old.job_id).code == 3
        ask(Stop(new.job_id, 0))
        end = until(Exited, new.job_id)
        assert (end.signal, end.by_stop, end.killed) == (9, True, 0), end
        """,
        under=own_process_ids(),
    )


def test_a_recycled_id_of_a_job_in_its_grace_period(tmp_path: Path) -> None:
    """What was left in the old job's group has left it, and a new job has its id: the new one is not killed with it."""
    leave = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "open(sys.argv[1]).readline()\n"
        "os.setsid()\n"
        "print('left', flush=True)\n"
        "signal.pause()"
    )
    run_watched(
        tmp_path,
        f"""
        path = sys.argv[1] + "/gate"
        os.mkfifo(path)
        gate = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        old = start("sh", "-c", '"$@" & wait', "sh", sys.executable, "-ISc", {leave!r}, path)
        lines(old.job_id, 1)
        ask(Stop(old.job_id, 1000))
        while old.pid in children(os.getpid()):
            turn()
        os.write(gate, b"-")
        os.write(gate, b"\\n")
        lines(old.job_id, 2)
        claim(old.pid)
        new = start("sh", "-c", "read -r _ < " + path + "; exit 7")
        assert new.pid == old.pid, (new, old)
        ask(Stop(old.job_id, 0))
        end = until(Exited, old.job_id)
        assert (end.signal, end.by_stop, end.killed) == (15, True, 1), end
        os.write(gate, b"\\n")
        assert until(Exited, new.job_id).code == 7
        """,
        under=own_process_ids(),
    )
