"""Makes a job's first process, with its output logs as its stdout and stderr."""

from __future__ import annotations

import errno
import os
import resource
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobworker.supervisor.clone import clone_into
from jobworker.supervisor.protocol import STEP_LOG, STEP_SPAWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import NoReturn

    from jobworker.supervisor.protocol import Start
    from jobworker.supervisor.running_logs import RunningLogs

    Streams = tuple[int, int, int]

JOB_ID_VARIABLE = "JOBWORKER_JOB_ID"
"""The mark that each job's environment carries: which job a process belongs to."""

MARK_LIMIT = 10  # RLIMIT_LOCKS, asm-generic/resource.h; the module `resource` has no name for it
"""The limit whose soft value carries the mark too, since an environment is easily cleared."""
MARK_DIGITS = 15
"""How many hexadecimal digits of a job's id it carries: 56 random bits, of the limit's 64."""

# Ignored signals stay ignored over exec, unlike handled ones: a job gets back the defaults of those that Python ignores
# (SIGPIPE, SIGXFSZ), and of those that whoever started this process had ignored. Naming all signals here would cost a
# job 60 system calls.
_IGNORED_SIGNALS = sorted(number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN)

# Why execvp(3) goes on to the next folder of the PATH.
_NOT_HERE = {errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENODEV, errno.ETIMEDOUT}


class SpawnError(Exception):
    """A job could not be started, and nothing is left of the attempt."""

    def __init__(self, step: str, error: OSError) -> None:
        super().__init__(step, error)
        self.step = step
        self.errno = error.errno or 0


def spawn(request: Start, stdin: int, environment: Mapping[bytes, bytes], cgroup: str, logs: RunningLogs) -> int:
    """Starts a job's first process as the leader of a session and process group of its own.

    Args:
        request: What to start, and where its output goes; neither log may exist yet.
        stdin: A descriptor to be the job's stdin.
        environment: What the job gets as its environment, and its mark in addition.
        cgroup: The path of the cgroup that it is born in; empty for this process's own.
        logs: Where its logs are created.

    Returns:
        The process id, which is the process group's id too.

    Raises:
        SpawnError: If a log can't be created (the disk's or a limit's fault), or the program can't be executed (the
            caller's fault, or a limit's; its errno says which).
    """
    stdout = _create_log(logs, request.stdout)
    try:
        try:
            stderr = _create_log(logs, request.stderr)
        except SpawnError:
            logs.discard(request.stdout)
            raise
        try:
            return _execute(request, (stdin, stdout, stderr), environment, cgroup)
        except SpawnError:
            logs.discard(request.stdout)
            logs.discard(request.stderr)
            raise
        finally:
            os.close(stderr)
    finally:
        os.close(stdout)


def _create_log(logs: RunningLogs, path: str) -> int:
    try:
        return logs.create(path)
    except OSError as error:
        raise SpawnError(STEP_LOG, error) from error


def _execute(request: Start, streams: Streams, environment: Mapping[bytes, bytes], cgroup: str) -> int:
    command = [word.encode("utf-8", "surrogateescape") for word in request.command]
    marked = {**environment, JOB_ID_VARIABLE.encode(): request.job_id.encode()}
    failure = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    for program in _candidates(command[0], environment.get(b"PATH", os.defpath.encode())):
        try:
            os.stat(program)  # what is not there need not cost a process
            with _marked(request.job_id):
                return _launch(program, command, marked, streams, cgroup)
        except ValueError as error:  # an environment that Python refuses to pass on
            raise SpawnError(STEP_SPAWN, OSError(errno.EINVAL, str(error))) from error
        except OSError as error:
            if error.errno == errno.EACCES:
                failure = error
            elif error.errno not in _NOT_HERE:
                raise SpawnError(STEP_SPAWN, error) from error
    raise SpawnError(STEP_SPAWN, failure)


def _candidates(program: bytes, path: bytes) -> Iterator[bytes]:
    """Yields where a program may be, as execvp(3) looks for it: as it is if it has a slash, else along the PATH."""
    if b"/" in program:
        yield program
    else:
        yield from (os.path.join(folder or b".", program) for folder in path.split(b":"))


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


def _launch(
    program: bytes, command: list[bytes], environment: Mapping[bytes, bytes], streams: Streams, cgroup: str
) -> int:
    if cgroup:
        return clone_into(cgroup, lambda: _become(program, command, environment, streams))
    # vfork's speed, no Python between fork and exec, and the errno of a failed exec as an exception. A session of its
    # own also means no terminal, and no way for the group's members into another job's group.
    return os.posix_spawn(
        program,
        command,
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, stream, number) for number, stream in enumerate(streams)],
        setsid=True,
        setsigmask=[],
        setsigdef=_IGNORED_SIGNALS,
    )


def _become(program: bytes, command: list[bytes], environment: Mapping[bytes, bytes], streams: Streams) -> NoReturn:
    """Does what `_launch` has posix_spawn do; in the child."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for ignored in _IGNORED_SIGNALS:
        signal.signal(ignored, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.execve(program, command, environment)  # noqa: S606 - no shell is what is wanted
