"""A stop with a grace period asks first: SIGTERM to the process group, SIGKILL to all that is left when it is over."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import Exited, InvalidGracePeriodError, JobState, Signaled, Worker
from process_support import alive, handles
from worker_support import leaves_nothing, python, read_all, read_lines, sh

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobworker.worker import Job
    from worker_support import Gate

BOTH_MODES = True

LONG = 10_000.0
"""More seconds than any test may take: what ends earlier does so for another reason."""
SHORT = 0.05
"""Seconds that a test may take."""
PLAIN = sh("sleep 1000 & echo ready; wait")
"""Two processes that SIGTERM ends."""
DEAF = "trap '' TERM; echo ready; exec sleep 1000"
"""A script that SIGTERM does not end."""


def answering(answer: str) -> list[str]:
    """Returns a command that says `ready`, and answers SIGTERM with a piece of source.

    No shell, whose traps are lost if the signal comes just when it makes a process.
    """
    return python(
        "import os, signal, sys\n"
        f"def answer(*_):\n os.write(1, b'bye\\n')\n {answer}\n"
        "signal.signal(signal.SIGTERM, answer)\n"
        "os.write(1, b'ready\\n')\n"
        "while True: signal.pause()"
    )


async def started(worker: Worker, *commands: list[str], lines: int = 1) -> list[Job]:
    """Starts jobs and waits for their first lines."""
    jobs = [await worker.start(command) for command in commands]
    for job in jobs:
        await read_lines(worker, job.id, lines)
    return jobs


def stopping(worker: Worker, job: Job, grace_period: float) -> asyncio.Task[Job]:
    """Stops a job in a task of its own."""
    return asyncio.ensure_future(worker.stop(job.id, grace_period=grace_period))


async def asked(worker: Worker, job: Job) -> None:
    """Waits until the supervisor has carried out what was asked of it before."""
    await worker.wait((await worker.start(["true"])).id)
    assert (await worker.get(job.id)).stop_request_time is not None


async def test_a_job_may_end_by_itself(worker: Worker) -> None:
    """Its handler runs, its exit code is kept, and nothing had to be killed."""
    (job,) = await started(worker, answering("sys.exit(7)"))
    stopped = await worker.stop(job.id, grace_period=LONG)
    assert (stopped.state, stopped.outcome) == (JobState.STOPPED, Exited(7, by_stop=True))
    assert (stopped.exit_code, stopped.killed_processes) == (7, 0)
    assert await read_all(worker, job.id) == b"ready\nbye\n"


async def test_a_success_after_sigterm_is_stopped(worker: Worker) -> None:
    """Code 0 is an answer to the signal as any other."""
    (job,) = await started(worker, answering("sys.exit()"))
    stopped = await worker.stop(job.id, grace_period=LONG)
    assert (stopped.state, stopped.exit_code) == (JobState.STOPPED, 0)


async def test_a_job_without_a_handler_ends_of_sigterm(worker: Worker) -> None:
    """At once, with all of its group."""
    (job,) = await started(worker, PLAIN)
    stopped = await worker.stop(job.id, grace_period=LONG)
    assert (stopped.state, stopped.outcome) == (JobState.STOPPED, Signaled(signal.SIGTERM, by_stop=True))
    assert stopped.killed_processes == 0


async def test_a_deaf_job_is_killed_when_it_is_over(worker: Worker) -> None:
    """With all that is left of it, in and out of its group."""
    script = f"trap '' TERM; sleep 1000 & echo $!; setsid sleep 1000 & echo $!; {DEAF}"
    (job,) = await started(worker, sh(script), lines=3)
    with handles(await read_lines(worker, job.id, 2)) as family:
        stopped = await worker.stop(job.id, grace_period=SHORT)
        assert alive(family) == []
    assert (stopped.state, stopped.outcome) == (JobState.STOPPED, Signaled(signal.SIGKILL, by_stop=True))
    assert stopped.killed_processes == 2


async def test_without_a_grace_period_nothing_is_asked(worker: Worker) -> None:
    """0 is SIGKILL at once: the handler does not run."""
    (job,) = await started(worker, answering("pass"))
    stopped = await worker.stop(job.id, grace_period=0)
    assert stopped.outcome == Signaled(signal.SIGKILL, by_stop=True)
    assert await read_all(worker, job.id) == b"ready\n"


async def test_members_have_all_of_it_though_the_first_process_died(worker: Worker, gate: Gate) -> None:
    """The first process dies at once; a child takes its time, says a last word, and is not killed."""
    child = answering(f"open({gate.path!r}).readline()\n sys.exit(print('last'))")
    (job,) = await started(worker, sh('"$@" & wait', *child))
    stop = stopping(worker, job, LONG)
    await asked(worker, job)
    assert not stop.done()
    gate.open()
    stopped = await stop
    assert (stopped.outcome, stopped.killed_processes) == (Signaled(signal.SIGTERM, by_stop=True), 0)
    assert await read_all(worker, job.id) == b"ready\nbye\nlast\n"


async def test_a_deaf_member_is_killed_when_it_is_over(worker: Worker) -> None:
    """Also if the first process has died before."""
    (job,) = await started(worker, sh(f"({DEAF}) & wait"))
    stopped = await worker.stop(job.id, grace_period=SHORT)
    assert stopped.outcome == Signaled(signal.SIGTERM, by_stop=True)
    assert stopped.killed_processes == 1


async def test_a_member_whose_parent_has_left_has_all_of_it(worker: Worker, gate: Gate) -> None:
    """It is in the group, though it is nobody's child there: its parent left the group after it was born."""
    member = answering(f"open({gate.path!r}).readline()\n sys.exit(print('last'))")
    source = (
        "import os, signal, sys\n"
        "if os.fork() == 0:\n"
        " if os.fork() == 0: os.execv(sys.argv[1], sys.argv[1:])\n"
        " os.setsid()\n"
        "signal.pause()"
    )
    (job,) = await started(worker, python(source, *member))
    stop = stopping(worker, job, LONG)
    await asked(worker, job)
    assert not stop.done()
    gate.open()
    # The parent, which was not asked, does not reap it; so the group is not seen to be empty before the end.
    assert await read_lines(worker, job.id, 3) == ["ready", "bye", "last"]
    await worker.stop(job.id)
    assert (await stop).state is JobState.STOPPED


async def test_what_has_left_the_group_is_not_asked(worker: Worker) -> None:
    """It is killed once nobody is left who was asked, and does not make the others' time longer."""
    (job,) = await started(worker, sh('setsid "$@" & exec sleep 1000', *answering("pass")))
    stopped = await worker.stop(job.id, grace_period=LONG)
    assert (stopped.outcome, stopped.killed_processes) == (Signaled(signal.SIGTERM, by_stop=True), 1)
    assert await read_all(worker, job.id) == b"ready\n"


async def test_a_second_stop_shortens_it(worker: Worker) -> None:
    """Down to nothing, or to what it says; both callers get the same job."""
    for grace_period in (0.0, SHORT):
        (job,) = await started(worker, sh(DEAF))
        first = stopping(worker, job, LONG)
        await asked(worker, job)
        second = await worker.stop(job.id, grace_period=grace_period)
        assert await first == second
        assert second.outcome == Signaled(signal.SIGKILL, by_stop=True)


async def test_a_second_stop_shortens_it_for_members_too(worker: Worker) -> None:
    """When the first process is gone already."""
    (job,) = await started(worker, sh(f"({DEAF}) & wait"))
    first = stopping(worker, job, LONG)
    await asked(worker, job)
    second = await worker.stop(job.id)
    assert await first == second
    assert (second.outcome, second.killed_processes) == (Signaled(signal.SIGTERM, by_stop=True), 1)


@pytest.mark.parametrize("first", [0.0, SHORT])
async def test_a_second_stop_never_lengthens_it(worker: Worker, first: float) -> None:
    """The job ends when the first one said."""
    (job,) = await started(worker, sh(DEAF))
    stops = [stopping(worker, job, grace_period) for grace_period in (first, LONG, LONG)]
    ended = await asyncio.gather(*stops)
    assert ended == [ended[0]] * 3
    assert ended[0].outcome == Signaled(signal.SIGKILL, by_stop=True)


async def test_a_suspended_job_is_asked_too(worker: Worker) -> None:
    """SIGCONT follows, so that it can answer."""
    (job,) = await started(worker, sh('echo $$; exec "$@"', *answering("sys.exit(3)")), lines=2)
    (pid,) = await read_lines(worker, job.id)
    os.killpg(int(pid), signal.SIGSTOP)
    stopped = await worker.stop(job.id, grace_period=LONG)
    assert stopped.outcome == Exited(3, by_stop=True)


async def test_a_cancelled_call_does_not_cancel_the_stop(worker: Worker) -> None:
    """The caller has gone, the grace period goes on, and the job is killed when it is over."""
    (job,) = await started(worker, sh(DEAF))
    stop = stopping(worker, job, SHORT)
    await asked(worker, job)
    stop.cancel()
    assert (await worker.wait(job.id)).outcome == Signaled(signal.SIGKILL, by_stop=True)


@pytest.mark.parametrize("rounds", range(8))
async def test_a_stop_is_asked_for_wholly_or_not_at_all(worker: Worker, rounds: int) -> None:
    """A call that is cancelled at whichever step: if the job says that it was asked to stop, it stops."""
    (job,) = await started(worker, PLAIN)
    stop = stopping(worker, job, LONG)
    for _ in range(rounds):
        await asyncio.sleep(0)
    stop.cancel()
    await asyncio.gather(stop, return_exceptions=True)
    if (await worker.get(job.id)).stop_request_time is not None:
        assert (await worker.wait(job.id)).outcome == Signaled(signal.SIGTERM, by_stop=True)


async def test_another_job_is_stopped_meanwhile(worker: Worker) -> None:
    """Neither waits for the other, nor do starts; and the end of the one is not the other's."""
    patient, other, clean = await started(worker, sh(DEAF), sh(f"setsid sleep 1000 & {DEAF}"), PLAIN)
    stop = stopping(worker, patient, LONG)
    await asked(worker, patient)
    assert (await worker.stop(other.id)).killed_processes == 1
    assert (await worker.stop(clean.id, grace_period=LONG)).outcome == Signaled(signal.SIGTERM, by_stop=True)
    assert (await worker.wait((await worker.start(["true"])).id)).exit_code == 0
    assert not stop.done()
    await worker.stop(patient.id)
    assert (await stop).state is JobState.STOPPED


async def test_many_grace_periods_end_each_at_its_time(worker: Worker) -> None:
    """Those that are longer do not keep shorter ones waiting, whichever began first."""
    jobs = await started(worker, *(sh(DEAF) for _ in range(6)))
    patient = [stopping(worker, job, LONG) for job in jobs[::2]]
    await asyncio.gather(*(worker.stop(job.id, grace_period=SHORT) for job in jobs[1::2]))
    assert [stop.done() for stop in patient] == [False] * 3
    await asyncio.gather(*(worker.stop(job.id) for job in jobs[::2]))
    await asyncio.gather(*patient)


async def test_a_worker_that_closes_waits_for_no_grace_period(cgroup_root: str) -> None:
    """Its jobs are killed, those that are being stopped too."""
    async with leaves_nothing():
        async with Worker(cgroup_root=cgroup_root) as worker:
            (job,) = await started(worker, sh(DEAF))
            stop = stopping(worker, job, LONG)
            await asked(worker, job)
        await asyncio.gather(stop, return_exceptions=True)


@pytest.mark.parametrize("grace_period", [1e9, 1e300, 1e-9])
async def test_any_length_will_do(worker: Worker, grace_period: float) -> None:
    """Longer than a host runs, or too short to be one."""
    (job,) = await started(worker, PLAIN)
    assert (await worker.stop(job.id, grace_period=grace_period)).state is JobState.STOPPED


@pytest.mark.parametrize("grace_period", [-1.0, float("nan"), float("inf")])
async def test_what_is_no_length_is_refused(worker: Worker, grace_period: float) -> None:
    """And the job was not asked to stop."""
    (job,) = await started(worker, PLAIN)
    with pytest.raises(InvalidGracePeriodError):
        await worker.stop(job.id, grace_period=grace_period)
    assert (await worker.get(job.id)).stop_request_time is None


async def end_by_itself(worker: Worker) -> Job:
    """Returns a job that has ended by itself."""
    return await worker.wait((await worker.start(sh("exit 3"))).id)


async def end_by_stop(worker: Worker) -> Job:
    """Returns a job that was stopped."""
    (job,) = await started(worker, sh(DEAF))
    return await worker.stop(job.id)


@pytest.mark.parametrize("end", [end_by_itself, end_by_stop])
async def test_a_job_that_has_ended_is_not_asked(worker: Worker, end: Callable[[Worker], asyncio.Future[Job]]) -> None:
    """It is answered as it is, at once."""
    ended = await end(worker)
    assert await worker.stop(ended.id, grace_period=LONG) == ended
