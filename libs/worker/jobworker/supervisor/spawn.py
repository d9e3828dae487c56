"""Makes a job's first process, with its output logs as its stdout and stderr."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from jobworker.supervisor.protocol import STEP_LOG, STEP_SPAWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobworker.supervisor.protocol import Start

JOB_ID_VARIABLE = "JOBWORKER_JOB_ID"
"""The mark that each job's environment carries: which job a process belongs to."""

# Ignored signals stay ignored over exec, unlike handled ones: a job gets back the defaults of those that Python ignores
# (SIGPIPE, SIGXFSZ), and of those that whoever started this process had ignored. Naming all signals here would cost a
# job 60 system calls.
_IGNORED_SIGNALS = sorted(number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN)


class SpawnError(Exception):
    """A job could not be started, and nothing is left of the attempt."""

    def __init__(self, step: str, error: OSError) -> None:
        super().__init__(step, error)
        self.step = step
        self.errno = error.errno or 0


def given_environment() -> dict[bytes, bytes]:
    """Returns the environment that this process was started with, to the byte.

    Not `os.environb`: in some locales Python's own start sets LC_CTYPE there (PEP 538), which no job was given.
    """
    with open("/proc/self/environ", "rb") as file:
        variables = (variable.partition(b"=") for variable in file.read().split(b"\0") if variable)
        return {name: value for name, _, value in variables}


def spawn(request: Start, stdin: int, environment: Mapping[bytes, bytes]) -> int:
    """Starts a job's first process as the leader of a session and process group of its own.

    Args:
        request: What to start, and where its output goes; neither log may exist yet.
        stdin: A descriptor to be the job's stdin.
        environment: What the job gets as its environment, and its mark in addition.

    Returns:
        The process id, which is the process group's id too.

    Raises:
        SpawnError: If a log can't be created (the disk's or a limit's fault), or the program can't be executed (the
            caller's fault, or a limit's; its errno says which).
    """
    stdout = _create_log(request.stdout)
    try:
        try:
            stderr = _create_log(request.stderr)
        except SpawnError:
            os.unlink(request.stdout)
            raise
        try:
            return _execute(request, (stdin, stdout, stderr), environment)
        except SpawnError:
            os.unlink(request.stdout)
            os.unlink(request.stderr)
            raise
        finally:
            os.close(stderr)
    finally:
        os.close(stdout)


def _create_log(path: str) -> int:
    try:
        # Appending, so that a job that truncates or seeks its stdout can't overwrite what readers have seen.
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SpawnError(STEP_LOG, error) from error


def _execute(request: Start, streams: tuple[int, int, int], environment: Mapping[bytes, bytes]) -> int:
    # posix_spawn: vfork's speed, no Python between fork and exec, and the errno of a failed exec as an exception.
    # A session of its own also means no terminal, and no way for the group's members into another job's group.
    command = [word.encode("utf-8", "surrogateescape") for word in request.command]
    try:
        return os.posix_spawnp(
            command[0],
            command,
            {**environment, JOB_ID_VARIABLE.encode(): request.job_id.encode()},
            file_actions=[(os.POSIX_SPAWN_DUP2, stream, number) for number, stream in enumerate(streams)],
            setsid=True,
            setsigmask=[],
            setsigdef=_IGNORED_SIGNALS,
        )
    except OSError as error:
        raise SpawnError(STEP_SPAWN, error) from error
