"""Whether it stays as fast with many jobs: daemons with ever more of them, side by side, measured in turns."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from jobworker.v1 import job_worker_pb2 as pb
from jobworker.worker import Exited, Job
from jobworker.worker.sqlite_store import SqliteJobStore
from jobworker.worker.state_dir import StateDirectory
from jobworker_bench.delay import delays
from jobworker_bench.figures import AtMost, Figure
from jobworker_bench.units import Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jobworker_bench.client import Client
    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import World

_MOST_TIMES = 1.3
_OPTIONS = ("--max-jobs=0", "--max-jobs-per-principal=0", "--keep-finished=all")
Probe: TypeAlias = "Callable[[Client, int], float]"


async def fill(file: Path, count: int) -> None:
    """Puts finished jobs into a new job store.

    Args:
        file: The store's.
        count: How many jobs.
    """
    first = datetime.now(UTC) - timedelta(seconds=count)
    async with SqliteJobStore(file) as store:
        for number in range(count):
            start = first + timedelta(seconds=number)
            job = Job(str(uuid.uuid4()), ("sh", "-c", f"echo job {number} of many; exit 0"), start, "f" * 64)
            await store.add(job.ended(Exited(0), start))


def _median(act: Callable[[], object], count: int) -> float:
    taken = []
    for _ in range(count):
        begin = time.perf_counter()
        act()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def _start(client: Client, count: int) -> float:
    return _median(lambda: client.start(["true"]), count)


def _stop(client: Client, count: int) -> float:
    jobs = iter(client.start_many(["sleep", "infinity"], count))
    return _median(lambda: client.stop(next(jobs)), count)


def _page(client: Client, count: int) -> float:
    return _median(lambda: client.stub.ListJobs(pb.ListJobsRequest()), count)


def _delay(client: Client, count: int) -> float:
    return statistics.median(delays(client, count))


PROBES: dict[str, tuple[str, Probe]] = {
    "start": ("start", _start),
    "stop": ("stop", _stop),
    "page": ("first page of the list", _page),
    "delay": ("write to receipt", _delay),
}


@dataclass(slots=True)
class _Crowd:
    """A daemon with many jobs, and the median of each probe in each round.

    Attributes:
        key: In the figures' keys.
        name: Of the many jobs, for people.
        client: Connected to the daemon.
        medians: By probe.
    """

    key: str
    name: str
    client: Client
    medians: dict[str, list[float]] = field(default_factory=lambda: {probe: [] for probe in PROBES})

    def measure(self, count: int) -> None:
        """Measures each probe, of so many samples."""
        for key, (_, probe) in PROBES.items():
            self.medians[key].append(probe(self.client, count))


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures start, stop, list and delay with few jobs and with many.

    Args:
        world: Gives the daemons.
        sizes: How many jobs, and how often.
    """
    with ExitStack() as stack:
        crowds = [_running(world, stack, count) for count in sizes.crowds]
        crowds.append(_finished(world, stack, sizes.finished_jobs))
        for _ in range(sizes.rounds):
            for crowd in crowds:
                crowd.measure(sizes.growth_samples)
    few, *many = crowds
    for key, (name, _) in PROBES.items():
        for crowd in many:
            yield Figure(
                f"growth_{key}_{crowd.key}",
                "growth",
                f"{name}, {crowd.name}",
                Unit.SECONDS,
                tuple(crowd.medians[key]),
                f"with {few.name}",
                tuple(few.medians[key]),
                AtMost(_MOST_TIMES),
            )


def _running(world: World, stack: ExitStack, count: int) -> _Crowd:
    daemon = stack.enter_context(world.daemon(*_OPTIONS))
    client = stack.enter_context(daemon.connect())
    client.start_many(["sleep", "infinity"], count)
    return _Crowd(f"{count}_running", f"{count:,} running", client)


def _finished(world: World, stack: ExitStack, count: int) -> _Crowd:
    state_dir = world.folder("finished")
    asyncio.run(fill(StateDirectory(state_dir).store, count))
    daemon = stack.enter_context(world.daemon(*_OPTIONS, state_dir=state_dir))
    return _Crowd(f"{count}_finished", f"{count:,} finished", stack.enter_context(daemon.connect()))
