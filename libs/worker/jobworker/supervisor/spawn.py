"""Makes a job's first process, with its output logs as its stdout and stderr."""

from __future__ import annotations

import errno
import os
import resource
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from jobworker.supervisor import vfork
from jobworker.supervisor.clone import ChildError, clone_into, take_default
from jobworker.supervisor.inheritance import IGNORED_SIGNALS, take_on
from jobworker.supervisor.protocol import STEP_DIRECTORY, STEP_LOG, STEP_SPAWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import NoReturn

    from jobworker.supervisor.inheritance import Inheritance
    from jobworker.supervisor.protocol import Start
    from jobworker.supervisor.running_logs import RunningLogs

    Streams = tuple[int, int, int]

_Result = TypeVar("_Result")

JOB_ID_VARIABLE = "JOBWORKER_JOB_ID"
"""The mark that each job's environment carries: which job a process belongs to."""

MARK_LIMIT = 10  # RLIMIT_LOCKS, asm-generic/resource.h; the module `resource` has no name for it
"""The limit whose soft value carries the mark too, since an environment is easily cleared."""
MARK_DIGITS = 15
"""How many hexadecimal digits of a job's id it carries: 56 random bits, of the limit's 64."""

# Why execvp(3) goes on to the next folder of the PATH.
_NOT_HERE = {errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENODEV, errno.ETIMEDOUT}


class SpawnError(Exception):
    """A job could not be started, and nothing is left of the attempt."""

    def __init__(self, step: str, error: OSError) -> None:
        super().__init__(step, error)
        self.step = getattr(error, "step", "") or step
        self.errno = error.errno or 0


def spawn(request: Start, stdin: int, inheritance: Inheritance, cgroup: str, logs: RunningLogs) -> int:
    """Starts a job's first process as the leader of a session and process group of its own.

    Args:
        request: What to start, and where its output goes; neither log may exist yet.
        stdin: A descriptor to be the job's stdin.
        inheritance: What the job is given; to its environment its mark is added.
        cgroup: The path of the cgroup that it is born in; empty for this process's own.
        logs: Where its logs are created.

    Returns:
        The process id, which is the process group's id too.

    Raises:
        SpawnError: If a log can't be created (the disk's or a limit's fault), or what it is to inherit can't be given
            (whoever configured that), or the program can't be executed (the caller's fault, or a limit's; its errno
            says which).
    """
    stdout = _create_log(logs, request.stdout, inheritance)
    try:
        try:
            stderr = _create_log(logs, request.stderr, inheritance)
        except SpawnError:
            logs.discard(request.stdout)
            raise
        try:
            return _execute(request, (stdin, stdout, stderr), inheritance, cgroup)
        except SpawnError:
            logs.discard(request.stdout)
            logs.discard(request.stderr)
            raise
        finally:
            os.close(stderr)
    finally:
        os.close(stdout)


def _create_log(logs: RunningLogs, path: str, inheritance: Inheritance) -> int:
    """Creates a log, the job's own user's: who opens /dev/stdout opens this file, and is asked for permission."""
    try:
        log = logs.create(path)
        if inheritance.run_as is not None:
            try:
                os.fchown(log, inheritance.run_as.uid, inheritance.run_as.gid)
            except OSError:
                os.close(log)
                logs.discard(path)
                raise
    except OSError as error:
        raise SpawnError(STEP_LOG, error) from error
    return log


def _execute(request: Start, streams: Streams, inheritance: Inheritance, cgroup: str) -> int:
    command = [word.encode("utf-8", "surrogateescape") for word in request.command]
    given = inheritance.environment
    programs = _candidates(command[0], given.get(b"PATH", os.defpath.encode()))
    job = _Job(command, {**given, JOB_ID_VARIABLE.encode(): request.job_id.encode()}, streams, inheritance)
    try:
        with _marked(request.job_id):
            if inheritance.run_as is not None:
                # What that user may not look at, is not looked at for it.
                return clone_into(cgroup, lambda: job.become(programs))
            _enter(inheritance.directory)
            return _first(programs, lambda program: _launch(program, job, cgroup))
    except ValueError as error:  # an environment that Python refuses to pass on
        raise SpawnError(STEP_SPAWN, OSError(errno.EINVAL, str(error))) from error
    except OSError as error:
        raise SpawnError(STEP_SPAWN, error) from error


def _enter(directory: bytes) -> None:
    """Goes where a job is to work: it inherits that, at no cost, and its program may be named from there."""
    try:
        os.chdir(directory)
    except OSError as error:
        raise ChildError(error.errno or 0, STEP_DIRECTORY) from error


def _candidates(program: bytes, path: bytes) -> list[bytes]:
    """Returns where a program may be, as execvp(3) looks for it: as it is if it has a slash, else along the PATH."""
    return [program] if b"/" in program else [os.path.join(folder or b".", program) for folder in path.split(b":")]


def _first(programs: Iterable[bytes], execute: Callable[[bytes], _Result]) -> _Result:
    """Executes the first program that can be, as execvp(3) does, and returns what that returns.

    Raises:
        OSError: If none can; why.
    """
    failure = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    for program in programs:
        try:
            return execute(program)
        except OSError as error:
            if getattr(error, "step", ""):
                raise  # it was not the program
            if error.errno == errno.EACCES:
                failure = error
            elif error.errno not in _NOT_HERE:
                raise
    raise failure


@contextmanager
def _marked(job_id: str) -> Iterator[None]:
    """Gives this process the mark of a job, for the child that is made meanwhile to inherit.

    A process that is marked already, or else limited, makes children that are marked as it is: inside a job, what that
    job leaves behind must be found by whoever runs it.
    """
    soft, hard = resource.getrlimit(MARK_LIMIT)
    if soft != resource.RLIM_INFINITY:
        yield
        return
    resource.setrlimit(MARK_LIMIT, (int(job_id.replace("-", "")[:MARK_DIGITS], 16), hard))
    try:
        yield
    finally:
        resource.setrlimit(MARK_LIMIT, (soft, hard))


class _Job(NamedTuple):
    """What is to be executed, and with what."""

    command: list[bytes]
    environment: Mapping[bytes, bytes]
    streams: Streams
    inheritance: Inheritance

    def become(self, programs: Iterable[bytes]) -> NoReturn:
        """Does what `_launch` has posix_spawn do, and what neither that nor vfork.c can; in the child."""
        os.setsid()
        for number, stream in enumerate(self.streams):
            os.dup2(stream, number)
        for ignored in IGNORED_SIGNALS:
            take_default(ignored)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        take_on(self.inheritance)
        _first(programs, lambda program: os.execve(program, self.command, self.environment))  # noqa: S606 - no shell


def _launch(program: bytes, job: _Job, cgroup: str) -> int:
    os.stat(program)  # what is not there need not cost a process
    if job.inheritance.needs_child or (cgroup and not vfork.is_there()):
        return clone_into(cgroup, lambda: job.become([program]))
    if cgroup:
        return vfork.vfork_into(
            cgroup,
            program,
            job.command,
            job.environment,
            streams=job.streams,
            ignored_signals=IGNORED_SIGNALS,
        )
    # vfork's speed, no Python between fork and exec, and the errno of a failed exec as an exception. A session of its
    # own also means no terminal, and no way for the group's members into another job's group.
    return os.posix_spawn(
        program,
        job.command,
        job.environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, stream, number) for number, stream in enumerate(job.streams)],
        setsid=True,
        setsigmask=[],
        setsigdef=IGNORED_SIGNALS,
    )
