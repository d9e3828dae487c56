"""What a state machine of workers expects of each job: a model with no process, no file and no event loop."""

from __future__ import annotations

import itertools
import signal
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from jobworker.worker import STREAMS, Exited, Job, Lost, Signaled

if TYPE_CHECKING:
    from jobworker.worker import Outcome, StreamName

FOREVER_SECONDS = 3600.0
"""A grace period that is not over before the test is."""

KINDS = ("default", "exits", "ignores")
"""What a job does with SIGTERM: it is ended by it, or it exits with `TERM_CODE`, or nothing."""
TERM_CODE = 65


@final
@dataclass(slots=True)
class ModelJob:
    """What is to be known of one job.

    Attributes:
        id: Its id.
        command: What it was started with.
        request_id: Of its start, if it had one.
        kind: One of `KINDS`.
        left: How many processes it leaves behind when it ends.
        written: What it has written, by stream.
        outcome: How it ended; None while it runs.
        is_asked: Whether it was asked to stop.
    """

    id: str
    command: tuple[str, ...] = field(repr=False)
    request_id: str | None
    kind: str
    left: int
    written: dict[StreamName, bytes] = field(default_factory=lambda: dict.fromkeys(STREAMS, b""))
    outcome: Outcome | None = None
    is_asked: bool = False

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.outcome is None

    def end(self, outcome: Outcome) -> None:
        """Ends it by itself; after it was sent SIGTERM, every end is an answer to that."""
        if self.is_asked and isinstance(outcome, Exited):
            outcome = Exited(outcome.code, by_stop=True)
        if self.is_asked and isinstance(outcome, Signaled):
            outcome = Signaled(outcome.signal, by_stop=True)
        self.outcome = outcome

    def stop(self, *, patiently: bool) -> None:
        """Ends it by a stop, with time to end by itself or none."""
        if not self.is_running:
            return
        self.is_asked = True
        if not patiently or self.kind == "ignores":
            self.outcome = Signaled(signal.SIGKILL, by_stop=True)
        elif self.kind == "exits":
            self.outcome = Exited(TERM_CODE, by_stop=True)
        else:
            self.outcome = Signaled(signal.SIGTERM, by_stop=True)

    def lose(self) -> None:
        """Ends it since its supervisor is dead."""
        if self.is_running:
            self.outcome = Lost("")

    def tail(self, stream: StreamName, lines: int) -> int:
        """Returns where the last so many lines of a stream begin."""
        written = self.written[stream].splitlines(keepends=True)
        return sum(map(len, written[: max(0, len(written) - lines)]))

    def check(self, job: Job) -> None:
        """Compares what is said of the job with what is to be.

        Raises:
            AssertionError: If it differs.
        """
        outcome = Lost("") if isinstance(job.outcome, Lost) else job.outcome
        assert (job.id, job.command, job.request_id) == (self.id, self.command, self.request_id)
        assert outcome == self.outcome, (self, job)
        assert (job.stdout_bytes, job.stderr_bytes) == tuple(len(self.written[stream]) for stream in STREAMS), (
            self,
            job,
        )
        assert (job.stop_request_time is not None) == self.is_asked, (self, job)
        if isinstance(job.outcome, Lost):
            assert job.outcome.reason
        if self.is_running:
            assert (job.end_time, job.killed_processes) == (None, 0)
        else:
            assert job.end_time is not None
            assert job.start_time <= job.end_time
            assert job.killed_processes == self.left, (self, job)


@final
class Model:
    """All jobs of a state directory, oldest first, and those that were deleted."""

    def __init__(self) -> None:
        self.jobs: list[ModelJob] = []
        self.deleted: list[ModelJob] = []
        self._ids = itertools.count(1)

    def running(self) -> list[ModelJob]:
        """Returns the jobs that have not ended."""
        return [job for job in self.jobs if job.is_running]

    def finished(self) -> list[ModelJob]:
        """Returns the jobs that have."""
        return [job for job in self.jobs if not job.is_running]

    def new_request_id(self) -> str:
        """Returns a request id that was not there before, and the same in every run."""
        return str(uuid.UUID(int=next(self._ids), version=4))
