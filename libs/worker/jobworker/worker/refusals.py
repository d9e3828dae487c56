"""What a spawn's errno means to the caller; no I/O and no event loop."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from jobworker.supervisor.protocol import STEP_DIRECTORY, STEP_LOG, STEP_PRIVILEGES, STEP_USER
from jobworker.worker.arguments import argument_bytes
from jobworker.worker.errors import (
    CommandTooLongError,
    ProgramError,
    ProgramFormatError,
    ProgramNotExecutableError,
    ProgramNotFoundError,
    ResourceExhaustedError,
    SupervisorError,
    WorkerError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

# execve(2), section ERRORS.
_PROGRAM_ERRORS: dict[int, type[ProgramError]] = {
    errno.ENOENT: ProgramNotFoundError,
    errno.ENOTDIR: ProgramNotFoundError,
    errno.ENAMETOOLONG: ProgramNotFoundError,
    errno.ELOOP: ProgramNotFoundError,
    errno.EACCES: ProgramNotExecutableError,
    errno.EPERM: ProgramNotExecutableError,
    errno.EISDIR: ProgramNotExecutableError,
    errno.ETXTBSY: ProgramNotExecutableError,
    errno.ENOEXEC: ProgramFormatError,
    errno.EINVAL: ProgramFormatError,
    errno.ELIBBAD: ProgramFormatError,
}

_RESOURCES: dict[int, tuple[str, str]] = {
    errno.EAGAIN: ("processes", "wait for jobs to end, or raise the limit (ulimit -u, pids.max)"),
    errno.ENOMEM: ("memory", "wait for jobs to end"),
    errno.EMFILE: ("file descriptors", "wait, or raise the worker's limit (ulimit -n)"),
    errno.ENFILE: ("file descriptors", "wait, or raise the host's limit (fs.file-max)"),
    errno.ENOSPC: ("disk space", "free some on the file system of the state directory"),
    errno.EDQUOT: ("disk quota", "free some of what the worker's user has stored"),
}

_STEPS = {
    STEP_LOG: "can't create an output log: {}; check the state directory",
    STEP_USER: "can't become the user that jobs run as: {}; start the worker with the rights to",
    STEP_PRIVILEGES: "can't keep jobs from new privileges: {}",
    STEP_DIRECTORY: "can't enter the directory that jobs work in: {}; make it anew, or give another",
}


def exhausted(error: int) -> ResourceExhaustedError | None:
    """Returns the error for an errno that says that the host or a limit has no more of something, else None."""
    found = _RESOURCES.get(error)
    return ResourceExhaustedError(*found) if found else None


def refusal(command: Sequence[str], step: str, error: int) -> WorkerError:
    """Returns the error that tells a caller why a job was not started.

    Args:
        command: The command that was asked for.
        step: What failed, `STEP_LOG` and so on of the supervisor's protocol.
        error: The errno.
    """
    if resource := exhausted(error):
        return resource
    if step in _STEPS:
        return SupervisorError(_STEPS[step].format(os.strerror(error)))
    if error == errno.E2BIG:
        return CommandTooLongError(argument_bytes(command))
    if kind := _PROGRAM_ERRORS.get(error):
        return kind(command[0])
    return SupervisorError(f"can't execute {command[0]!r}: {os.strerror(error)}")
