"""What a worker and its supervisor say to each other: one JSON array a line, the message's name first.

JSON escapes control characters, so a message never holds a newline, and a stream socket takes messages of any length,
which a packet socket would not (a command may have 6 MiB).

A conversation: the supervisor says `Ready`; the worker `Configure`s it; the supervisor tells of every job whose end the
worker has not acknowledged, `Started` and, if it has ended, `Exited`, and says `Synced`; then requests and events come
as they may. `Ready`, `End` and `Ended` are the same in all versions, so that any two can part.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_Message = TypeVar("_Message")

VERSION = 2
"""The version of these messages and of the records; a worker and a supervisor of different ones don't work together."""

MOST_ARGUMENT_BYTES = 6 << 20
"""What the kernel takes of a command at most, each word with a zero byte at its end: three quarters of _STK_LIM,
whatever the stack's limit is (fs/exec.c, bprm_stack_limits). A worker sends no longer one, though its callers, and
--max-argument-size=0, would let it."""

MOST_LINE_BYTES = 6 * MOST_ARGUMENT_BYTES + (1 << 20)
"""How long a request may be: JSON makes six bytes of one at most ("\\u0001"), and three of an empty word's zero byte.
The paths beside a command, of 4 KiB each, have a mebibyte."""


class Configure(NamedTuple):
    """Says how jobs are to be started from now on."""

    environment: dict[str, str]
    """Of the jobs; bytes that are not UTF-8 as lone surrogates."""
    directory: str
    """Their working directory; one that they can't enter is a problem."""
    cgroup_root: str
    """The cgroup to make theirs in; "auto" for the supervisor's own if that can be, "off" for none."""
    log_limit: int
    """The most bytes that an output log keeps; 0 is no limit."""
    uid: int | None = None
    """Whom they run as; None for the supervisor's own user."""
    gid: int = 0
    """That user's group."""
    groups: Sequence[int] = ()
    """That user's supplementary groups."""
    no_new_privileges: bool = False
    """Whether set-user-ID programs, and their like, give them no rights."""


class Start(NamedTuple):
    """Asks for a job to be started; answered by `Started` or `Refused`."""

    job_id: str
    command: list[str]
    stdout: str
    """Path of the output log; the supervisor creates it."""
    stderr: str


class Stop(NamedTuple):
    """Asks for a job's processes to be ended; `Exited` follows, or went out before."""

    job_id: str
    grace_seconds: float
    """How long they may take after SIGTERM; 0 is SIGKILL at once. The shortest of several requests holds."""


class Acknowledge(NamedTuple):
    """Says that the worker has kept a job's end, so that the supervisor can forget it."""

    job_id: str


class End(NamedTuple):
    """Asks the supervisor to kill all jobs, to say `Ended`, and to exit once the worker has closed the socket."""


class Ready(NamedTuple):
    """Says that the supervisor takes requests."""

    version: int
    pid: int
    jobs: int
    """How many jobs run."""


class Synced(NamedTuple):
    """Says that the worker was told of every job that there is."""

    cgroup_root: str
    """Where jobs' cgroups are made; empty if jobs have none."""
    problem: str
    """Why the wanted one can't be used; empty if it can, or if none was wanted."""
    unfit: str = ""
    """Why no job can be started in the wanted directory, or as the wanted user; empty if it can."""


class Started(NamedTuple):
    """Says that a job's first process executes its program."""

    job_id: str
    pid: int
    time_ns: int
    """When, in nanoseconds since the epoch."""
    start_ticks: int
    """When, in clock ticks since the host's start, which together with the pid names a process for good."""


class Refused(NamedTuple):
    """Says that a job was not started, and that nothing is left of the attempt."""

    job_id: str
    step: str
    """What failed: `STEP_LOG`, `STEP_SPAWN` and so on."""
    error: int
    """The errno."""


class Exited(NamedTuple):
    """Says that a job's first process ended and that none of its processes is left."""

    job_id: str
    code: int | None
    """The exit code, or None if a signal ended it."""
    signal: int | None
    """The signal's number, or None if it exited."""
    by_stop: bool
    """Whether a `Stop` ended it."""
    killed: int
    """How many processes, beside the first, were left and were killed."""
    stdout_bytes: int
    """The output's final size."""
    stderr_bytes: int
    time_ns: int
    """When the last of its processes was gone, in nanoseconds since the epoch."""


class Ended(NamedTuple):
    """Answers `End`: no process of any job is left."""


STEP_LOG = "log"
"""An output log, or the job's record or cgroup, could not be created."""
STEP_SPAWN = "spawn"
"""The process could not be made, or the program not executed."""
STEP_USER = "user"
"""The process could not become one of the user that jobs run as."""
STEP_PRIVILEGES = "privileges"
"""The process could not be kept from new privileges."""
STEP_DIRECTORY = "directory"
"""The process could not enter the jobs' working directory."""

Request: TypeAlias = Configure | Start | Stop | Acknowledge | End
"""What a worker says."""
Event: TypeAlias = Ready | Synced | Started | Refused | Exited | Ended
"""What a supervisor says."""

_REQUESTS: dict[str, type[Request]] = {kind.__name__: kind for kind in (Configure, Start, Stop, Acknowledge, End)}
_EVENTS: dict[str, type[Event]] = {kind.__name__: kind for kind in (Ready, Synced, Started, Refused, Exited, Ended)}


def encode(message: Request | Event) -> bytes:
    """Returns a message as one line, its newline included."""
    return json.dumps((type(message).__name__, *message), separators=(",", ":")).encode() + b"\n"


def decode_request(line: bytes | bytearray) -> Request:
    """Returns the request that `encode` made a line of.

    Raises:
        ValueError: If the line is no request; a bug of the sender's, or a line that was cut short.
    """
    return _decode(line, _REQUESTS)


def decode_event(line: bytes | bytearray) -> Event:
    """Returns the event that `encode` made a line of.

    Raises:
        ValueError: If the line is no event; a bug of the sender's, or a line that was cut short.
    """
    return _decode(line, _EVENTS)


def _decode(line: bytes | bytearray, kinds: dict[str, type[_Message]]) -> _Message:
    try:
        message = json.loads(line)
    except RecursionError:
        raise ValueError("no message: it is nested too deeply") from None
    match message:
        case [str(name), *fields] if name in kinds:
            pass
        case other:
            raise ValueError(f"no message of its kind: {str(other)[:200]}")
    if not all(check(field) for check, field in zip(_CHECKS[name], fields, strict=False)):
        raise ValueError(f"no {name}: {str(fields)[:200]}")
    try:
        return kinds[name](*fields)
    except TypeError:  # too many, or too few
        raise ValueError(f"no {name}: {str(fields)[:200]}") from None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_number(value: object) -> bool:
    # What the kernel and the job store can take. To Python a flag is a number, too.
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MOST


def _is_numbers(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_number, value))


def _is_number_or_none(value: object) -> bool:
    return value is None or _is_number(value)


def _is_duration(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and _are_texts(value)


def _is_environment(value: object) -> bool:
    return isinstance(value, dict) and _are_texts(value.values())


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


_MOST = (1 << 63) - 1
_CHECK_OF: dict[object, Callable[[object], bool]] = {
    str: _is_text,
    bool: _is_flag,
    int: _is_number,
    int | None: _is_number_or_none,
    float: _is_duration,
    list[str]: _is_texts,
    Sequence[int]: _is_numbers,
    dict[str, str]: _is_environment,
}
# A field of another kind than it is said to be would be found out in the middle of things, by a supervisor with jobs.
_CHECKS = {
    name: tuple(_CHECK_OF[hint] for hint in get_type_hints(kind).values())
    for name, kind in (_REQUESTS | _EVENTS).items()
}
