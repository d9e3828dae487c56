"""What a worker and its supervisor say to each other: one JSON array a line, the message's name first.

JSON escapes control characters, so a message never holds a newline, and a stream socket takes messages of any length,
which a packet socket would not (an argument list may have 2 MiB).
"""

from __future__ import annotations

import json
from typing import NamedTuple, TypeAlias


class Start(NamedTuple):
    """Asks for a job to be started; answered by `Started` or `Refused`."""

    job_id: str
    command: list[str]
    stdout: str
    """Path of the output log; the supervisor creates it."""
    stderr: str


class Kill(NamedTuple):
    """Asks for a job's processes to be killed; `Exited` follows, or went out before."""

    job_id: str


class Ready(NamedTuple):
    """Says that the supervisor takes requests."""

    pid: int


class Started(NamedTuple):
    """Says that a job's first process executes its program."""

    job_id: str
    pid: int
    time_ns: int
    """When, in nanoseconds since the epoch."""


class Refused(NamedTuple):
    """Says that a job was not started, and that nothing is left of the attempt."""

    job_id: str
    step: str
    """What failed: `STEP_LOG` or `STEP_SPAWN`."""
    error: int
    """The errno."""


class Exited(NamedTuple):
    """Says that a job's first process ended and that its process group is empty."""

    job_id: str
    code: int | None
    """The exit code, or None if a signal ended it."""
    signal: int | None
    """The signal's number, or None if it exited."""
    by_stop: bool
    """Whether the signal came from a `Kill`."""
    time_ns: int
    """When the last process of the group was gone, in nanoseconds since the epoch."""


STEP_LOG = "log"
"""An output log could not be created."""
STEP_SPAWN = "spawn"
"""The process could not be made, or the program not executed."""

Request: TypeAlias = Start | Kill
Event: TypeAlias = Ready | Started | Refused | Exited

_TYPES: dict[str, type[Request | Event]] = {
    kind.__name__: kind for kind in (Start, Kill, Ready, Started, Refused, Exited)
}


def encode(message: Request | Event) -> bytes:
    """Returns a message as one line, its newline included."""
    return json.dumps((type(message).__name__, *message), separators=(",", ":")).encode() + b"\n"


def decode(line: bytes | bytearray) -> Request | Event:
    """Returns the message that `encode` made a line of.

    Raises:
        ValueError: If the line is no message; a bug of the sender's, since both ends are of one version.
    """
    name, *fields = json.loads(line)
    kind = _TYPES.get(name)
    if kind is None:
        raise ValueError(f"no message is called {name!r}")
    return kind(*fields)
