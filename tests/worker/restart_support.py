"""A worker in a process of its own, which can be killed at any moment, and what it leaves in its state directory."""

# ruff: noqa: ASYNC240 - small files on a local disk

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.supervisor import failpoints
from jobworker.worker import MemoryJobStore, Worker, WorkerError
from jobworker.worker.supervisors import SharedSupervisor
from jobworker_testing import ProcessHandle, kill_supervisor, supervisor_of
from worker_support import MARK, library_environment, marked_processes, read_lines, sh

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from jobworker.worker import Job
    from jobworker.worker.supervisor_client import SupervisorClient

REQUEST = "0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3"


@final
class WorkerProcess:
    """A context manager that holds a process with an open worker, and kills it by SIGKILL at the end."""

    def __init__(  # noqa: PLR0913 - each has a default
        self,
        state: Path,
        *,
        cgroup_root: str = "auto",
        failpoint: str = "",
        keep_jobs: bool = False,
        memory: bool = False,
        mortal: bool = False,
        under: Sequence[str] = (),
    ) -> None:
        """Prepares a worker.

        Args:
            state: Its state directory.
            cgroup_root: As of `Worker`.
            failpoint: The step that it, or its supervisor, crashes at; empty for none.
            keep_jobs: As of `Worker`.
            memory: Whether its job store is not durable.
            mortal: Whether the process dies as soon as its supervisor is seen to be dead.
            under: A command that runs the process in an environment of its own.
        """
        options = {"cgroup_root": cgroup_root, "keep_jobs": keep_jobs, "memory": memory, "mortal": mortal}
        self._state = state
        self._command = [*under, sys.executable, "-c", _PROGRAM, str(state), json.dumps(options)]
        self._environment = {**library_environment(), failpoints.VARIABLE: failpoint}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self._environment
        )
        assert self.read() == "open"
        return self

    def crash(self) -> None:
        """Has it crash while it opens, in place of entering the context."""
        ended = subprocess.run(
            self._command, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, ""), ended

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def supervisor(self) -> int:
        """The process id of the supervisor."""
        pid = supervisor_of(self._state)
        assert pid
        return pid

    def start(self, command: Sequence[str], request_id: str | None = None) -> str:
        """Starts a job and returns its id; of an error, its type and message."""
        self.ask("start", *command, request_id=request_id)
        return self.read()

    def start_line(self, script: str) -> tuple[str, str]:
        """Starts a shell script and returns the job's id, and the first line of its stdout."""
        self.ask("start_line", script)
        job_id, line = self.read().split(" ", 1)
        return job_id, line

    def wait(self, job_id: str) -> str:
        """Waits for a job's end and returns its state."""
        self.ask("wait", job_id)
        return self.read()

    def begin_stop(self, job_id: str, grace_period: float) -> None:
        """Asks for a job's end, and waits until the supervisor was told to see to it."""
        self.ask("stop", job_id, str(grace_period))
        assert self.read() == "stopping"

    def ask(self, verb: str, *arguments: str, request_id: str | None = None) -> None:
        """Asks for something, and doesn't wait for it."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps([verb, request_id, *arguments]) + "\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """Kills it by SIGKILL."""
        self._process.kill()
        self._process.wait()

    def die(self) -> None:
        """Waits until it has killed itself."""
        assert self._process.wait() == -signal.SIGKILL

    def close(self) -> str:
        """Lets it leave the worker's context and end; returns the type and message of the error, if there is one."""
        assert self._process.stdin
        self._process.stdin.close()
        said = self.read()
        assert self._process.wait() == 0
        return said

    def read(self) -> str:
        """Returns the next line that it says."""
        assert self._process.stdout
        return self._process.stdout.readline().rstrip("\n")


_PROGRAM = "import restart_support; restart_support.main()"


def main() -> None:
    """Is the process that a `WorkerProcess` holds."""
    state, options = sys.argv[1:]
    with suppress(WorkerError):
        asyncio.run(_serve(state, **json.loads(options)))


async def _serve(state: str, *, cgroup_root: str, keep_jobs: bool, memory: bool, mortal: bool) -> None:
    requests = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    store = MemoryJobStore() if memory else None
    try:
        async with Worker(state_dir=state, store=store, cgroup_root=cgroup_root, keep_jobs=keep_jobs) as worker:
            _say("open")
            if mortal:
                SharedSupervisor.connect = _die  # type: ignore[method-assign, assignment]
            async with asyncio.TaskGroup() as tasks:
                while line := await requests.readline():
                    tasks.create_task(_carry_out(worker, *json.loads(line)))
    except WorkerError as error:
        _say(f"{type(error).__name__}: {error}")
        raise
    _say("")


async def _carry_out(worker: Worker, verb: str, request_id: str | None, *arguments: str) -> None:
    try:
        match verb, arguments:
            case "start", _:
                _say((await worker.start(arguments, request_id=request_id)).id)
            case "start_line", (script,):
                job = await worker.start(sh(script))
                _say(f"{job.id} {(await read_lines(worker, job.id))[0]}")
            case "stop", (job_id, grace_period):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(worker.stop(job_id, grace_period=float(grace_period)))
                    await asyncio.sleep(0)
                    _say("stopping")
            case "wait", (job_id,):
                _say((await worker.wait(job_id)).state.value)
    except WorkerError as error:
        _say(f"{type(error).__name__}: {error}")


async def _die(_self: SharedSupervisor, _bury: object) -> SupervisorClient:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def _say(line: str) -> None:
    print(line, flush=True)


@asynccontextmanager
async def state_directory(path: Path) -> AsyncIterator[Path]:
    """Gives a state directory, and sees to it that nothing of its jobs is left at the end.

    Raises:
        AssertionError: If a worker that took over what was left there has left something behind.
    """
    try:
        yield path
        if path.exists():
            async with Worker(state_dir=path):
                pass
        left = leftovers(path)
        assert left == Leftovers((), (), None)
    finally:
        kill_supervisor(path)
        for pid in marked_processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Leftovers:
    """What there is of jobs, beside a job store and its jobs' output."""

    records: tuple[str, ...]
    processes: tuple[int, ...]
    supervisor: int | None


def records_of(state: Path) -> list[Path]:
    """Returns the records of jobs that there are; what was removed is a spare file for the next."""
    return [path for path in (state / "records").iterdir() if not path.name.startswith("spare-")]


def leftovers(state: Path) -> Leftovers:
    """Returns what there is now."""
    records = state / "records"
    return Leftovers(
        tuple(path.name for path in records_of(state)) if records.is_dir() else (),
        tuple(marked_processes(MARK)),
        supervisor_of(state),
    )


def supervisor_handle(state: Path) -> ProcessHandle:
    """Returns a handle of a state directory's supervisor, which must be there."""
    pid = supervisor_of(state)
    assert pid
    return ProcessHandle(pid)


def kill(process: ProcessHandle) -> None:
    """Kills a process by SIGKILL and waits for its end."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def counting(count: Path, then: str = "exit 7") -> list[str]:
    """Returns a command that leaves a line for each time that it runs, says hi, and goes on as told."""
    return sh(f'echo run >> "$1"; echo hi; {then}', str(count))


def runs(count: Path) -> int:
    """Returns how often such a command has run."""
    return count.read_text().count("run\n") if count.exists() else 0


async def only_job(worker: Worker) -> Job:
    """Returns the only job that there is."""
    (job,) = (await worker.list()).jobs
    return job


@contextmanager
def pretender(
    state: Path, listening: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Iterator[socket.socket]:
    """Stands in for a supervisor: has its lock and listens at its socket.

    Args:
        state: The state directory, made if it isn't there.
        listening: What to do meanwhile when it begins to listen: become another user, say.
    """
    state.mkdir(mode=0o700, exist_ok=True)
    with (state / "supervisor.lock").open("w") as lock, socket.socket(socket.AF_UNIX) as listener:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(str(os.getpid()))
        lock.flush()
        (state / "supervisor.sock").unlink(missing_ok=True)
        listener.bind(os.fspath(state / "supervisor.sock"))
        with listening():
            listener.listen()
        listener.settimeout(0)
        yield listener
