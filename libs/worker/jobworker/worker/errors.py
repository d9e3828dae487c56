"""Every error that the library raises: one hierarchy, sorted by whose fault an error is.

Each class builds its own message, one line that says what happened and what to do next.
"""

from __future__ import annotations

import os
import shlex


class WorkerError(Exception):
    """Any error of this library."""


# The caller's fault: the same call can't succeed unchanged.


class InvalidArgumentError(WorkerError, ValueError):
    """An argument that can't be right, whatever the worker's state; the caller's fault."""


class InvalidCommandError(InvalidArgumentError):
    """A command that is empty, has an empty program name, or holds what the kernel can't take; the caller's fault."""


class ProgramError(InvalidArgumentError):
    """The program can't be executed, so no job exists; the caller's fault.

    Attributes:
        program: The program as the caller named it.
    """

    reason = "can't be executed"

    def __init__(self, program: str) -> None:
        super().__init__(f"{shlex.quote(program)}: {self.reason}")
        self.program = program


class ProgramNotFoundError(ProgramError):
    """No such program, by path or along the worker's PATH; the caller's fault."""

    reason = "no such program on the worker's host; give its path, or a name found on the worker's PATH"


class ProgramNotExecutableError(ProgramError):
    """The file is there but may not be executed by the worker's user; the caller's fault."""

    reason = "not executable by the worker's user; check the file's mode and its folders'"


class ProgramFormatError(ProgramError):
    """The kernel doesn't know the file's format; the caller's fault."""

    reason = "not in a format that the kernel executes; a script needs a first line like #!/bin/sh"


class CommandTooLongError(InvalidArgumentError):
    """The arguments and environment exceed what the kernel takes (execve(2), E2BIG); the caller's fault."""

    def __init__(self, length: int) -> None:
        super().__init__(
            f"the argument list of {length} bytes is too long for the kernel; pass the data in a file instead"
        )


class InvalidJobIdError(InvalidArgumentError):
    """What was given as a job id is neither an id nor the beginning of one; the caller's fault."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"{job_id[:64]!r} is no job id: give a UUID or its first characters")


class AmbiguousJobIdError(InvalidArgumentError):
    """The beginning of an id that several jobs share; the caller's fault."""

    def __init__(self, prefix: str, matches: int) -> None:
        super().__init__(f"{matches} jobs have an id that begins with {prefix!r}; give more characters")


class InvalidRequestIdError(InvalidArgumentError):
    """A request id that is not a UUID; the caller's fault."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"{request_id[:64]!r} is no request id: give a UUID, or none")


class RequestIdReusedError(InvalidArgumentError):
    """A request id that came before with another command; the caller's fault."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"request id {request_id} came before with another command; give each start a UUID of its own")


class InvalidStreamError(InvalidArgumentError):
    """A stream that is neither stdout nor stderr; the caller's fault."""

    def __init__(self, stream: str) -> None:
        super().__init__(f"{stream[:64]!r} is no output stream: give 'stdout' or 'stderr'")


class InvalidOffsetError(InvalidArgumentError):
    """A negative offset; the caller's fault."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"offset {offset} is negative; give 0 or more")


class InvalidTailLinesError(InvalidArgumentError):
    """A number of lines that is negative, or that comes with an offset; the caller's fault."""


class InvalidLimitError(InvalidArgumentError):
    """A negative limit; the caller's fault."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"limit {limit} is negative; give 0 for none, or more")


class InvalidGracePeriodError(InvalidArgumentError):
    """A grace period that is negative or no number; the caller's fault."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"a grace period of {seconds} s can't be; give 0 or more seconds")


class InvalidPageSizeError(InvalidArgumentError):
    """A negative page size; the caller's fault."""

    def __init__(self, page_size: int) -> None:
        super().__init__(f"page size {page_size} is negative; give 0 for the default, or more")


class InvalidPageTokenError(InvalidArgumentError):
    """A page token that no list call gave out; the caller's fault."""

    def __init__(self) -> None:
        super().__init__("this page token was not given out by a list call; begin again without one")


class JobNotFoundError(WorkerError, LookupError):
    """No job has this id; the caller's fault."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"no job has the id {job_id}; list the jobs to see which there are")


class JobDeletedError(WorkerError, LookupError):
    """The job was deleted while its output was read; whoever deleted it, or the worker's own limits, meant it."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} was deleted, and its output with it")


class JobRunningError(WorkerError):
    """A job that has not ended can't be deleted; the caller's fault."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} has not ended; stop it first")


class OffsetOutOfRangeError(WorkerError, ValueError):
    """An offset past the end of what the job has written so far; the caller's fault.

    Attributes:
        offset: The offset asked for.
        size: How many bytes there are.
    """

    def __init__(self, offset: int, size: int) -> None:
        super().__init__(f"offset {offset} is past the end: the stream has {size} bytes so far")
        self.offset = offset
        self.size = size


class WorkerClosedError(WorkerError):
    """The worker is not open, or closed while the call was under way; the caller's fault, or the host is going down."""

    def __init__(self) -> None:
        super().__init__("the worker is closed; use it inside 'async with Worker() as worker'")


# The host's fault: the same call may succeed later, or once an administrator has acted.


class ResourceExhaustedError(WorkerError):
    """The host or a limit has no more of something that the call needs; the host's fault.

    Attributes:
        resource: What ran out.
    """

    def __init__(self, resource: str, advice: str) -> None:
        super().__init__(f"out of {resource}; {advice}")
        self.resource = resource


class StateDirectoryError(WorkerError):
    """The state directory can't be used; the fault of whoever configured it, or of the disk."""

    def __init__(self, path: os.PathLike[str] | str, problem: str) -> None:
        super().__init__(f"state directory {os.fspath(path)}: {problem}; give a directory that the worker may write to")


class StateDirectoryInUseError(StateDirectoryError):
    """Another worker has the state directory; the fault of whoever configured it."""

    def __init__(self, path: os.PathLike[str] | str, owner: str) -> None:
        super().__init__(path, f"it is in use by another worker ({owner}), which has to end first")


class JobStoreError(WorkerError):
    """The job store's file can't be used; the fault of whoever touched it or configured it, or of the disk."""

    def __init__(self, path: os.PathLike[str] | str, problem: str) -> None:
        super().__init__(f"job store {os.fspath(path)}: {problem}")


class CgroupError(WorkerError):
    """The cgroup for the jobs can't be used; the fault of whoever configured it."""

    def __init__(self, root: str, problem: str) -> None:
        super().__init__(
            f"cgroup {root}: {problem}; give a cgroup v2 directory that the worker may write to, or auto or off"
        )


class InheritanceError(WorkerError):
    """Jobs can't be given what they are to inherit: directory, user, privileges; the fault of whoever configured it."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}; give another directory or user, or start the worker with the rights to")


class SupervisorVersionError(WorkerError):
    """The supervisor that runs the jobs of a state directory is of another version; who upgrades has to act."""

    def __init__(self, path: os.PathLike[str] | str, theirs: object, ours: int, jobs: int) -> None:
        super().__init__(
            f"state directory {os.fspath(path)}: its supervisor speaks protocol version {theirs}, this worker {ours}, "
            f"and {jobs} jobs run there; start the version of jobworker that started them, stop them, then upgrade"
        )


class SupervisorError(WorkerError):
    """The supervisor did not start, or died; the host's fault, or a bug of ours."""
