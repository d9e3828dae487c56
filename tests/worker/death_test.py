"""When the process that holds a worker dies, or the supervisor, by SIGKILL even, no job lives on."""

# ruff: noqa: PT012, ASYNC220 - what must fail is a whole `async with`

from __future__ import annotations

import asyncio
import os
import select
import shlex
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import SupervisorError, Worker, WorkerClosedError
from jobworker_testing import ProcessHandle, children_of
from worker_support import (
    MARK,
    footprint,
    leaves_nothing,
    library_environment,
    marked_processes,
    python,
    read_all,
    read_lines,
    sh,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Starts the jobs that its arguments are, each a shell script; says who the supervisor is, then what each job but for
# plain sleepers says first.
HOLDER = """
import asyncio, os, sys
from jobworker.worker import Worker
from jobworker_testing import children_of

async def main(before, *scripts):
    async with Worker() as worker:
        print(*children_of(os.getpid()), flush=True)
        jobs = [await worker.start(["sh", "-c", script]) for script in scripts]
        for job, script in zip(jobs, scripts):
            if script == "exec sleep 1000":
                continue
            async for frame in worker.read_logs(job.id, "stdout", follow=True):
                sys.stdout.buffer.write(frame.data)
                if b"\\n" in frame.data:
                    break
        exec(before)
        print("ready", flush=True)
        await asyncio.get_running_loop().create_future()

asyncio.run(main(*sys.argv[1:]))
"""
ESCAPE = """
import os, time
if os.fork():
    time.sleep(1000)
os.setsid()
pids = [os.getpid()]
reading, writing = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.write(writing, str(os.getpid()).encode())
        time.sleep(1000)
    os._exit(0)
os.wait()
print(os.getpid(), os.read(reading, 99).decode(), flush=True)
time.sleep(1000)
"""


@dataclass
class Holder:
    """A process that holds a worker with running jobs."""

    process: subprocess.Popen[str]
    supervisor: ProcessHandle
    lines: list[list[str]]

    def kill(self) -> None:
        """Kills it by SIGKILL, and waits for the end of its supervisor."""
        self.process.kill()
        self.process.wait()
        ended, _, _ = select.select([self.supervisor._descriptor], [], [], 30)
        assert ended, "the supervisor outlives its worker"


@contextmanager
def holder(directory: Path, *scripts: str, before: str = "") -> Iterator[Holder]:
    """Runs jobs in a process of its own, whose stderr, kept in a directory meanwhile, must stay empty."""
    errors = directory / "errors"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, "-c", HOLDER, before, *scripts],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=library_environment(),
        ) as process,
    ):
        lines = [line.split() for line in iter(process.stdout.readline, "ready\n")] if process.stdout else []
        try:
            with ProcessHandle(int(lines[0][0])) as supervisor:
                yield Holder(process, supervisor, lines[1:])
        finally:
            process.kill()
    assert errors.read_text() == ""
    errors.unlink()


async def test_no_orphan_of_a_killed_worker(scratch: Path) -> None:
    """Its jobs end, with what left their groups or forked twice, and its temporary directory goes."""
    escape = shlex.join(["exec", *python(ESCAPE)])
    async with leaves_nothing():
        with ExitStack() as stack:
            held = stack.enter_context(
                holder(scratch, "echo $$; exec sleep 1000", "trap '' TERM; sleep 1000 & echo $!; wait", escape)
            )
            pids = [int(pid) for line in held.lines for pid in line]
            assert len(pids) == 4
            family = [stack.enter_context(ProcessHandle(pid)) for pid in pids]
            held.kill()
            assert [process.has_exited() for process in family] == [True] * 4
            assert marked_processes() == []


async def test_a_forked_copy_does_not_hide_a_killed_worker(scratch: Path) -> None:
    """It holds the worker's socket open, and the supervisor sees the death all the same."""
    fork = "copy = os.fork()\nif not copy:\n import signal\n signal.pause()\nprint('copy', copy)"
    async with leaves_nothing():
        with ExitStack() as stack:
            held = stack.enter_context(holder(scratch, "echo $$; exec sleep 1000", before=fork))
            (job,), (_, copy) = held.lines
            job_process = stack.enter_context(ProcessHandle(int(job)))
            copy_process = stack.enter_context(ProcessHandle(int(copy)))
            held.kill()
            assert job_process.has_exited()
            assert not copy_process.has_exited()
            os.kill(int(copy), signal.SIGKILL)
            copy_process.wait()
            held.process.stdout and held.process.stdout.read()


@pytest.mark.parametrize("copy", [False, True])
async def test_a_worker_killed_while_it_was_suspended(scratch: Path, *, copy: bool) -> None:
    """More jobs end than its socket holds news of, and nobody reads: the supervisor neither waits nor fails."""
    fork = "copy = os.fork()\nif not copy:\n import signal\n signal.pause()\nprint('copy', copy)" if copy else ""
    jobs = ["exec sleep 1000"] * 350
    async with leaves_nothing():
        with ExitStack() as stack:
            held = stack.enter_context(holder(scratch, *jobs, before=fork))
            held.process.send_signal(signal.SIGSTOP)
            copies = [stack.enter_context(ProcessHandle(int(line[1]))) for line in held.lines if line[0] == "copy"]
            for job in children_of(held.supervisor.pid):
                os.kill(job, signal.SIGKILL)
            held.kill()
            for process in copies:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
    assert marked_processes() == []


async def test_a_worker_killed_before_its_supervisor_began() -> None:
    """There is no job yet, and still nothing is left."""
    die = """
import asyncio, os, signal, sys
from jobworker.worker import Worker

async def main():
    opening = asyncio.ensure_future(Worker().__aenter__())
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    async with leaves_nothing():
        command = [sys.executable, "-c", die]
        with subprocess.Popen(command, env=library_environment(), stderr=subprocess.PIPE) as process:
            # Reaped before the supervisor looks for it; then the supervisor's end, which has the same stderr.
            assert process.wait() == -signal.SIGKILL
            assert process.stderr
            assert process.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_does_not_end_the_supervisor(worker: Worker, number: signal.Signals) -> None:
    """What is sent to a whole service or terminal ends the worker, which then ends its supervisor."""
    (supervisor,) = children_of(os.getpid())
    os.kill(supervisor, number)
    job = await worker.start(sh("exit 4"))
    assert (await worker.wait(job.id)).exit_code == 4


async def killed_supervisor(*scripts: str) -> list[BaseException]:
    """Kills the supervisor of running jobs, and returns what the worker's body and its calls got."""
    async with leaves_nothing():
        with pytest.raises(SupervisorError, match="died") as caught:
            async with Worker() as worker:
                jobs = [await worker.start(sh(script)) for script in scripts]
                for job in jobs:
                    await read_lines(worker, job.id)
                calls = [worker.wait(job.id) for job in jobs] + [read_all(worker, job.id) for job in jobs]
                tasks = [asyncio.ensure_future(call) for call in calls]
                await asyncio.sleep(0)
                os.kill(children_of(os.getpid())[0], signal.SIGKILL)
                await asyncio.get_running_loop().create_future()
        seen = await asyncio.gather(*tasks, return_exceptions=True)
    return [caught.value, *(result for result in seen if isinstance(result, BaseException))]


async def test_a_killed_supervisor_ends_the_worker_and_all_jobs() -> None:
    """The body is cancelled, the error says so, whoever waits is told, and processes that left their group go too."""
    error, *others = await killed_supervisor(
        "echo ready; exec sleep 1000", "setsid sleep 1000 & (sleep 1000 &) & echo ready; wait"
    )
    assert [type(other) for other in others] == [WorkerClosedError] * 4
    assert "2 jobs were killed" in str(error)


async def test_starts_under_way_when_the_supervisor_is_killed() -> None:
    """Jobs that it started, but whose start it did not live to report, are killed too."""
    async with leaves_nothing():
        with pytest.raises(SupervisorError):
            async with Worker() as worker:
                (supervisor,) = children_of(os.getpid())
                starts = [asyncio.ensure_future(worker.start(["sleep", "1000"])) for _ in range(100)]
                await starts[0]
                os.kill(supervisor, signal.SIGKILL)
                await asyncio.get_running_loop().create_future()
        results = await asyncio.gather(*starts, return_exceptions=True)
        assert {type(result).__name__ for result in results} <= {"Job", "WorkerClosedError"}


async def test_a_supervisor_killed_while_the_worker_closes() -> None:
    """The jobs that it had not killed yet are, and the error is not kept back."""
    async with leaves_nothing():
        with pytest.raises(SupervisorError):
            async with Worker() as worker:
                (supervisor,) = children_of(os.getpid())
                job = await worker.start(sh("echo ready; exec sleep 1000"))
                await read_lines(worker, job.id)
                os.kill(supervisor, signal.SIGKILL)
    assert marked_processes() == []


async def test_a_supervisor_killed_in_an_idle_worker() -> None:
    """There is nothing to kill, and the worker can't go on."""
    before = footprint()
    with pytest.raises(SupervisorError, match="0 jobs"):
        async with Worker():
            os.kill(children_of(os.getpid())[0], signal.SIGKILL)
            await asyncio.get_running_loop().create_future()
    assert footprint() == before


async def test_a_python_that_does_not_start_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the exit code, or with what the kernel says; and nothing is left."""
    async with leaves_nothing():
        for executable, said in (("/bin/false", "ended with code 1"), ("/no/python", "did not start: .*No such file")):
            monkeypatch.setattr(sys, "executable", executable)
            with pytest.raises(SupervisorError, match=said):
                async with Worker():
                    pass


def test_processes_of_the_tests_are_marked() -> None:
    """What the other tests look for is there to be found."""
    with subprocess.Popen(["sleep", "1000"], env=library_environment()) as process:
        assert process.pid in marked_processes(MARK)
        process.kill()
