"""How much of each load is run: all counts of the benchmark in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Sizes:
    """The counts of a run.

    Attributes:
        rounds: How often a value and its limit are measured in turns.
        jobs: Jobs in a round of starting and finishing.
        latency_starts: Starts in a round whose latencies are looked at.
        output_bytes: Of a large output; a multiple of 64 KiB.
        delay_lines: Lines whose delay is looked at.
        process_runs: How often a whole process is run, from its start to its end.
        finished_jobs: The most finished jobs that a daemon finds at its start.
    """

    rounds: int
    jobs: int
    latency_starts: int
    output_bytes: int
    delay_lines: int
    process_runs: int
    finished_jobs: int


FULL = Sizes(
    rounds=5,
    jobs=800,
    latency_starts=200,
    output_bytes=1 << 30,
    delay_lines=500,
    process_runs=15,
    finished_jobs=100_000,
)
QUICK = Sizes(
    rounds=2,
    jobs=64,
    latency_starts=20,
    output_bytes=32 << 20,
    delay_lines=50,
    process_runs=2,
    finished_jobs=1000,
)
