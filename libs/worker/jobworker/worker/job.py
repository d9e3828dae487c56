"""What a job is, which states it has, and how one follows from another; no I/O and no event loop."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, final

if TYPE_CHECKING:
    from datetime import datetime

StreamName: TypeAlias = Literal["stdout", "stderr"]
"""One of a job's two output streams."""

STREAMS: tuple[StreamName, StreamName] = ("stdout", "stderr")


@final
class JobState(enum.Enum):
    """Where a job is in its life; every state but RUNNING is final."""

    RUNNING = "running"
    """Its first process has not been seen to exit."""
    SUCCEEDED = "succeeded"
    """Its first process exited with code 0."""
    FAILED = "failed"
    """Its first process exited with another code, was ended by a signal that nobody asked for, or was lost."""
    STOPPED = "stopped"
    """A stop request ended its first process."""

    @property
    def is_final(self) -> bool:
        """Whether no other state can follow."""
        return self is not JobState.RUNNING


@final
@dataclass(frozen=True, slots=True)
class Exited:
    """The first process exited."""

    code: int
    """The exit code, 0 to 255."""
    by_stop: bool = False
    """Whether it had been sent SIGTERM because of a stop request."""


@final
@dataclass(frozen=True, slots=True)
class Signaled:
    """The first process was ended by a signal."""

    signal: int
    """The signal's number, as in signal(7)."""
    by_stop: bool = False
    """Whether the supervisor sent that signal because of a stop request."""


@final
@dataclass(frozen=True, slots=True)
class Lost:
    """Nobody saw how the first process ended."""

    reason: str
    """Why, in a sentence for people."""


Outcome: TypeAlias = Exited | Signaled | Lost
"""How the first process ended: what wait(2) said of it, or that nobody was there to ask."""


@final
@dataclass(frozen=True, slots=True)
class Job:
    """One started command; a snapshot that never changes.

    Attributes:
        id: UUIDv4 in its canonical lower-case form.
        command: The program and its arguments.
        start_time: When its first process was started (UTC).
        owner: Who started it, in the caller's own terms; the daemon uses the certificate's fingerprint.
        principal: Whose it is, in the caller's own terms, whatever it was started with; the daemon uses the name that
            the role table gives the certificate, or else the fingerprint again.
        request_id: The UUID that the caller gave the start, if any.
        end_time: When the last of its processes was gone (UTC); None while it runs.
        stop_request_time: When a stop was first asked for (UTC); None if nobody did.
        outcome: How its first process ended; None while it runs.
        killed_processes: How many processes, beside the first, were left when it ended and were killed.
        stdout_bytes: How much it has written to stdout so far.
        stderr_bytes: How much it has written to stderr so far.
    """

    id: str
    command: tuple[str, ...]
    start_time: datetime
    owner: str = ""
    principal: str = ""
    request_id: str | None = None
    end_time: datetime | None = None
    stop_request_time: datetime | None = None
    outcome: Outcome | None = None
    killed_processes: int = 0
    stdout_bytes: int = 0
    stderr_bytes: int = 0

    @property
    def state(self) -> JobState:
        """The job's state, which follows from its outcome alone."""
        return state_of(self.outcome)

    @property
    def exit_code(self) -> int | None:
        """The exit code, 0 to 255; None while the job runs and when a signal ended it."""
        return self.outcome.code if isinstance(self.outcome, Exited) else None

    @property
    def signal(self) -> int | None:
        """The number of the signal that ended the job; None while it runs and when it exited by itself."""
        return self.outcome.signal if isinstance(self.outcome, Signaled) else None

    def written(self, stream: StreamName) -> int:
        """Returns how many bytes the job has written to `stream` so far."""
        return self.stdout_bytes if stream == "stdout" else self.stderr_bytes

    def with_sizes(self, stdout_bytes: int, stderr_bytes: int) -> Job:
        """Returns this job with newly read sizes of its output."""
        return replace(self, stdout_bytes=stdout_bytes, stderr_bytes=stderr_bytes)

    def with_stop_request(self, at: datetime) -> Job:
        """Returns this job as asked to stop; the first request's time stays, and a final job stays as it is."""
        if self.state.is_final or self.stop_request_time is not None:
            return self
        return replace(self, stop_request_time=at)

    def ended(self, outcome: Outcome, at: datetime, *, killed_processes: int = 0) -> Job:
        """Returns this job in its final state; one that is final already stays as it is.

        Args:
            outcome: What is known of the first process's end.
            at: When its last process was gone. A clock that was set back meanwhile never makes a job end before its
                start.
            killed_processes: How many processes, beside the first, were left then and were killed.
        """
        if self.state.is_final:
            return self
        end_time = max(at, self.start_time)
        return replace(self, outcome=outcome, end_time=end_time, killed_processes=killed_processes)


def state_of(outcome: Outcome | None) -> JobState:
    """Returns the state that an outcome means.

    A job that exited by itself just before the stop's signal reached it did succeed or fail: what wait(2) says counts,
    not what was asked for.
    """
    match outcome:
        case None:
            return JobState.RUNNING
        case Exited(by_stop=True) | Signaled(by_stop=True):
            return JobState.STOPPED
        case Exited(code=0):
            return JobState.SUCCEEDED
        case _:
            return JobState.FAILED
