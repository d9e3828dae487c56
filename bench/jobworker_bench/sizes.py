"""How much of each load is run: all counts of the benchmark in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class ProbeSizes:
    """The counts of one look at one of the daemons that are compared; of all else as in `Sizes`.

    Attributes:
        stops_200: Stops of a job of 200 processes.
        pages: First pages of the list.
    """

    jobs: int
    latency_starts: int
    stops: int
    stops_200: int
    pages: int
    output_bytes: int
    unfollowed_bytes: int
    delay_lines: int
    small_lines: int
    followers: int
    idle_seconds: float


@final
@dataclass(frozen=True, slots=True)
class Sizes:
    """The counts of a run.

    Attributes:
        rounds: How often a value and its limit are measured in turns.
        jobs: Jobs in a round of starting and finishing.
        latency_starts: Starts in a round whose latencies are looked at.
        stops: Stops in a round of each kind of job.
        small_lines: Lines of 100 bytes that a job writes one by one.
        output_bytes: Of a large output; a multiple of 64 KiB.
        delay_lines: Lines whose delay is looked at.
        process_runs: How often a whole process is run, from its start to its end.
        finished_jobs: The most finished jobs that a daemon finds at its start.
        peer_jobs: Jobs in a round of each peer; fewer of one that takes long.
        memory_rounds: How often a fresh daemon's memory is looked at.
        running_jobs: Jobs that run while memory is looked at.
        ended_jobs: Jobs that end while memory is looked at.
        followers: Followers while memory is looked at, each with a connection of its own.
        large_output_bytes: Of the output that must not add to the memory; a multiple of 64 KiB.
        unfollowed_bytes: Of an output in a round that nobody follows; a multiple of 64 KiB.
        idle_seconds: How long nothing happens in a round.
        crowds: How many jobs run in the daemons that are compared; the first is what the others stand beside.
        probes: What is measured in a round of each of them.
    """

    rounds: int
    jobs: int
    latency_starts: int
    stops: int
    small_lines: int
    output_bytes: int
    delay_lines: int
    process_runs: int
    finished_jobs: int
    peer_jobs: int
    memory_rounds: int
    running_jobs: int
    ended_jobs: int
    followers: int
    large_output_bytes: int
    unfollowed_bytes: int
    idle_seconds: float
    crowds: tuple[int, ...]
    probes: ProbeSizes


FULL = Sizes(
    rounds=5,
    jobs=1600,
    latency_starts=500,
    stops=5,
    small_lines=1_000_000,
    output_bytes=1 << 30,
    delay_lines=500,
    process_runs=15,
    finished_jobs=100_000,
    peer_jobs=400,
    memory_rounds=3,
    running_jobs=1000,
    ended_jobs=2000,
    followers=100,
    large_output_bytes=10 << 30,
    unfollowed_bytes=2 << 30,
    idle_seconds=24,
    crowds=(10, 1000, 10_000),
    probes=ProbeSizes(
        jobs=240,
        latency_starts=100,
        stops=30,
        stops_200=3,
        pages=30,
        output_bytes=128 << 20,
        unfollowed_bytes=256 << 20,
        delay_lines=100,
        small_lines=200_000,
        followers=20,
        idle_seconds=2,
    ),
)
QUICK = Sizes(
    rounds=2,
    jobs=64,
    latency_starts=20,
    stops=2,
    small_lines=20_000,
    output_bytes=32 << 20,
    delay_lines=50,
    process_runs=2,
    finished_jobs=1000,
    peer_jobs=40,
    memory_rounds=1,
    running_jobs=20,
    ended_jobs=50,
    followers=5,
    large_output_bytes=64 << 20,
    unfollowed_bytes=64 << 20,
    idle_seconds=0.5,
    crowds=(10, 20),
    probes=ProbeSizes(
        jobs=16,
        latency_starts=10,
        stops=2,
        stops_200=1,
        pages=5,
        output_bytes=8 << 20,
        unfollowed_bytes=8 << 20,
        delay_lines=10,
        small_lines=10_000,
        followers=2,
        idle_seconds=0.2,
    ),
)
