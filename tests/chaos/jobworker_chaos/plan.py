"""What each job of a campaign writes, how it ends, and when it starts: follows from a seed alone; no I/O."""

from __future__ import annotations

import random
import signal
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from jobworker.v1 import job_worker_pb2 as pb
from jobworker_chaos import writer
from jobworker_chaos.writer import MAX_TEXT_BYTES, STREAMS, Ending, Step, Task, record

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRAM = str(Path(writer.__file__).absolute())
_SIGNALS = (
    signal.SIGKILL,
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGPIPE,
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGUSR1,
)
_MOST_BYTES_PER_STEP = 1 << 20
_LONGEST_GRACE_SECONDS = 600.0
"""Longer than any campaign: a job that is sent SIGTERM ends by that."""


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """What the daemon is to say of a job that has ended, in the proto's terms."""

    state: pb.JobState.ValueType
    exit_code: int | None = None
    signal: int | None = None
    killed_processes: int = 0


@final
@dataclass(frozen=True, slots=True)
class JobPlan:
    """One job.

    Attributes:
        start_at: When it is to be started, in seconds after the campaign's beginning.
        request_id: What makes every retry of its start the same start.
        task: What it does.
        grace_seconds: The grace period of the stop that ends it; None for a job that ends by itself.
    """

    start_at: float
    request_id: str
    task: Task
    grace_seconds: float | None = None

    @property
    def number(self) -> int:
        """Which job it is, from 0."""
        return self.task.number

    @property
    def outcome(self) -> Outcome:
        """How it is to end."""
        ending, left = self.task.ending, self.task.left
        if ending.exit_code >= 0:
            state = pb.JOB_STATE_FAILED if ending.exit_code else pb.JOB_STATE_SUCCEEDED
            return Outcome(state, exit_code=ending.exit_code, killed_processes=left)
        if ending.signal:
            return Outcome(pb.JOB_STATE_FAILED, signal=ending.signal, killed_processes=left)
        if not self.grace_seconds:
            return Outcome(pb.JOB_STATE_STOPPED, signal=signal.SIGKILL, killed_processes=left)
        if ending.term_code >= 0:
            return Outcome(pb.JOB_STATE_STOPPED, exit_code=ending.term_code, killed_processes=left)
        return Outcome(pb.JOB_STATE_STOPPED, signal=signal.SIGTERM, killed_processes=left)

    def command(self, runs: Path) -> list[str]:
        """Returns the command to start.

        Args:
            runs: The file that each run of a job adds its number to.
        """
        return [sys.executable, "-IS", _PROGRAM, str(runs), writer.encode(self.task)]

    def output(self, stream: str) -> Iterator[bytes]:
        """Yields what it writes to a stream, record by record."""
        sequence = 0
        for step in self.task.steps:
            if step.stream == stream:
                for _ in range(step.records):
                    yield record(self.number, stream, sequence, step.size, is_binary=step.is_binary)
                    sequence += 1


def make(seed: int, jobs: int, seconds: float) -> tuple[JobPlan, ...]:
    """Returns the jobs of a campaign, in the order of their starts.

    Args:
        seed: Decides on everything; the same seed makes the same jobs.
        jobs: How many.
        seconds: How long the trouble lasts that they are to live in; they start and end spread over it.
    """
    rng = random.Random(f"jobs {seed}")  # noqa: S311 - here and below: chance, not secrets
    starts = sorted(rng.uniform(0, seconds * 0.8) for _ in range(jobs))
    return tuple(_job(rng, number, start_at, seconds) for number, start_at in enumerate(starts))


def _job(rng: random.Random, number: int, start_at: float, seconds: float) -> JobPlan:
    ending, grace_seconds = _ending(rng)
    left = rng.choices([0, 1, 3], [12, 2, 1])[0]
    # Half of them are over at once; the others live through a kill or many.
    duration = rng.choice([0.0, rng.uniform(0.1, 0.6) * seconds])
    kinds = [rng.random() for _ in range(rng.choice([0, 1, 1, 2, 3, 5, 8]))]
    steps = [_step(rng, kind, duration / len(kinds)) for kind in kinds]
    if grace_seconds is not None:
        # What says that it has done all else, and is ready to be stopped.
        steps += [Step(stream, False, 1, 8, 1, 0.0) for stream in STREAMS]  # noqa: FBT003 - the name is long enough
    request_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    return JobPlan(start_at, request_id, Task(number, left, tuple(steps), ending), grace_seconds)


def _ending(rng: random.Random) -> tuple[Ending, float | None]:
    match rng.choices(["well", "code", "signal", "kill", "term", "handled"], [6, 4, 4, 1, 1, 1])[0]:
        case "well":
            return Ending(exit_code=0), None
        case "code":
            return Ending(exit_code=rng.randrange(1, 256)), None
        case "signal":
            return Ending(signal=rng.choice(_SIGNALS)), None
        case "kill":
            return Ending(), 0.0
        case "term":
            return Ending(), _LONGEST_GRACE_SECONDS
        case _:
            return Ending(term_code=rng.randrange(256)), _LONGEST_GRACE_SECONDS


def _step(rng: random.Random, kind: float, seconds: float) -> Step:
    """Returns a step that lasts so many seconds.

    Args:
        rng: Chance.
        kind: 0 to 1: a few lines, many, few and long ones, or binary blocks.
        seconds: How long it lasts, at least.
    """
    stream = rng.choice(STREAMS)
    is_binary = kind >= 0.75  # noqa: PLR2004 - quarters
    size = _log_uniform(rng, 1, 1 << 16 if is_binary else MAX_TEXT_BYTES)
    most = max(1, _MOST_BYTES_PER_STEP // (size + 32))
    count = min(most, _log_uniform(rng, 1, 20 if kind < 0.5 else 20_000))  # noqa: PLR2004 - as above
    batch = min(count, _log_uniform(rng, max(1, count // 500), count + 1))
    return Step(stream, is_binary, count, size, batch, seconds / -(-count // batch))


def _log_uniform(rng: random.Random, least: int, most: int) -> int:
    """Returns a number whose magnitude is left to chance."""
    return min(most, int(least * (most / least) ** rng.random()))
