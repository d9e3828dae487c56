"""Compares what came with what was due: streams byte by byte as they come, outcomes, and how often each job ran."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, final

from jobworker.v1 import job_worker_pb2 as pb
from jobworker_chaos.plan import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from jobworker_chaos.plan import JobPlan

_EXCERPT_BYTES = 48
# Mostly more than a line, so that its number and checksum are in it.
_MARK_BYTES = 160


@final
class StreamCheck:
    """Compares one reading of one stream as its pieces come, and holds no more of it than one record.

    Attributes:
        job: The job.
        stream: Which of its streams.
        offset: How many bytes have come.
        problem: The first difference; empty as long as there is none.
    """

    def __init__(self, job: JobPlan, stream: str) -> None:
        self.job = job
        self.stream = stream
        self.offset = 0
        self.problem = ""
        self._due = job.output(stream)
        self._next = b""

    def __repr__(self) -> str:
        return f"<StreamCheck job={self.job.number} {self.stream} offset={self.offset} {self.problem}>"

    def feed(self, data: bytes) -> None:
        """Compares a piece that continues where the one before ended."""
        start, position = self.offset, 0
        self.offset += len(data)
        while position < len(data) and not self.problem:
            self._next = self._next or next(self._due, b"")
            size = min(len(self._next), len(data) - position)
            if not size or data[position : position + size] != self._next[:size]:
                self.problem = self._difference(start + position, data[position:])
            self._next = self._next[size:]
            position += size

    def end(self, size: int, *, is_whole: bool = True) -> None:
        """Compares where the stream ended.

        Args:
            size: How many bytes the daemon says there are.
            is_whole: Whether that should be all that the job was to write.
        """
        if size != self.offset and not self.problem:
            self.problem = self._told(f"{self.offset} bytes came, and the daemon says there are {size}")
        rest = self._next or next(self._due, b"")
        if is_whole and rest and not self.problem:
            self.problem = self._told(f"it ends at {self.offset}, where {rest[:_EXCERPT_BYTES]!r} was due")

    def _difference(self, offset: int, came: bytes) -> str:
        """Says what is wrong with bytes, the first few of which are right at most."""
        due = b"".join(self.job.output(self.stream))
        wrong = next((n for n, byte in enumerate(came) if due[offset + n : offset + n + 1] != bytes([byte])), 0)
        offset, came = offset + wrong, came[wrong:]
        place = due.find(came[:_MARK_BYTES])
        if offset >= len(due):
            kind = "nothing was due any more"
        elif place > offset:
            kind = f"{place - offset} bytes were lost"
        elif place >= 0:
            kind = f"{offset - place} bytes came again"
        else:
            kind = "these are none of its own"
        expected, found = due[offset : offset + _EXCERPT_BYTES], came[:_EXCERPT_BYTES]
        return self._told(f"at {offset} {kind}: {found!r} came where {expected!r} was due")

    def _told(self, what: str) -> str:
        return f"job {self.job.number}, {self.stream}: {what}"


def outcome_of(job: pb.Job) -> Outcome:
    """Returns what the daemon says of a job's end; a lost job has neither exit code nor signal."""
    kind = job.WhichOneof("outcome")
    return Outcome(
        job.state,
        job.exit_code if kind == "exit_code" else None,
        job.signal if kind == "signal" else None,
        job.termination.killed_processes,
    )


def is_lost(job: pb.Job) -> bool:
    """Whether the daemon says that nobody saw the job's end, with a reason and in the state that goes with it."""
    return job.WhichOneof("outcome") == "lost" and job.state == pb.JOB_STATE_FAILED and bool(job.lost.reason)


def outcome_problems(plan: JobPlan, job: pb.Job, *, may_be_lost: bool) -> list[str]:
    """Returns what is wrong with a finished job.

    Args:
        plan: What it was to do.
        job: What the daemon says of it.
        may_be_lost: Whether its supervisor may have been killed while it ran.
    """
    problems = []
    if not (may_be_lost and is_lost(job)) and outcome_of(job) != plan.outcome:
        problems.append(f"job {plan.number}: ended as {outcome_of(job)}, due was {plan.outcome}: {job}")
    if not (job.HasField("end_time") and job.HasField("termination")):
        problems.append(f"job {plan.number}: has ended, and has not: {job}")
    if plan.grace_seconds is None and job.HasField("stop_request_time"):
        problems.append(f"job {plan.number}: nobody stopped it: {job}")
    return problems


def run_problems(runs: Path, jobs: Iterable[tuple[JobPlan, pb.Job]]) -> list[str]:
    """Returns which jobs did not run once; one that was lost may have been so before it ran.

    Args:
        runs: The file that each run of a job has added its number to.
        jobs: All jobs.
    """
    counts = Counter(map(int, runs.read_text().split()))
    problems = []
    for plan, job in jobs:
        count = counts.pop(plan.number, 0)
        if count != 1 and not (count == 0 and is_lost(job)):
            problems.append(f"job {plan.number}: ran {count} times")
    return problems + [f"job {number}, which is none, ran {count} times" for number, count in counts.items()]
