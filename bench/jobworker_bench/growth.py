"""Whether it stays as it is with many jobs: daemons with ever more of them, side by side, measured in turns."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from jobworker.worker import Exited, Job
from jobworker.worker.sqlite_store import SqliteJobStore
from jobworker.worker.state_dir import StateDirectory
from jobworker_bench.figures import Below, Figure
from jobworker_bench.memory import MOST_BYTES
from jobworker_bench.probes import KINDS, PROBES, probed
from jobworker_bench.startup import ready_seconds
from jobworker_bench.turns import turns
from jobworker_bench.units import Unit
from jobworker_bench.usage import resident

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobworker_bench.probes import Probed
    from jobworker_bench.sizes import ProbeSizes, Sizes
    from jobworker_bench.world import World

_OPTIONS = ("--max-jobs=0", "--max-jobs-per-principal=0", "--keep-finished=all")
_MOST_READY_SECONDS = 2


async def fill(directory: StateDirectory, count: int) -> None:
    """Makes a state directory of finished jobs, each with its output.

    Args:
        directory: There is nothing yet.
        count: How many jobs.
    """
    first = datetime.now(UTC) - timedelta(seconds=count)
    directory.logs.mkdir(mode=0o700)
    async with SqliteJobStore(directory.store) as store:
        for number in range(count):
            start = first + timedelta(seconds=number)
            output = f"job {number} of many\n".encode()
            job = Job(str(uuid.uuid4()), ("sh", "-c", f"echo job {number} of many; exit 0"), start, "f" * 64)
            _write(directory.logs / f"{job.id}.stdout", output)
            _write(directory.logs / f"{job.id}.stderr", b"")
            await store.add(job.with_sizes(len(output), 0).ended(Exited(0), start))


def _write(log: Path, output: bytes) -> None:
    log.touch(mode=0o600)
    log.write_bytes(output)


@dataclass(frozen=True, slots=True)
class _Crowd:
    """A daemon with many jobs, and what came out for each kind in each round.

    Attributes:
        key: In the figures' keys.
        name: Of the many jobs, for people.
        probed: The daemon.
        values: By kind.
    """

    key: str
    name: str
    probed: Probed
    values: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def measure(self, sizes: ProbeSizes) -> None:
        """Takes each probe once."""
        for probe in PROBES:
            for kind, value in probe(self.probed, sizes).items():
                self.values[kind].append(value)


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures all that may grow, with few jobs and with many.

    Args:
        world: Gives the daemons.
        sizes: How many jobs, and how often.
    """
    with ExitStack() as stack:
        finished = StateDirectory(world.folder("finished"))
        asyncio.run(fill(finished, sizes.finished_jobs))
        yield _ready(world, sizes, finished)
        crowds = []
        for count in sizes.crowds:
            crowd, memory = _running(world, stack, count)
            crowds.append(crowd)
            # What the first jobs of all add is code that is loaded.
            if len(crowds) > 1:
                yield memory
        crowd, memory = _finished(world, stack, finished, sizes.finished_jobs)
        crowds.append(crowd)
        yield memory
        for crowd in turns(crowds, sizes.rounds):
            crowd.measure(sizes.probes)
    yield from _figures(*crowds)


def _figures(few: _Crowd, *many: _Crowd) -> Iterator[Figure]:
    for key, kind in KINDS.items():
        # What is nearly nothing is no measure for others.
        stands_alone = isinstance(kind.target, Below)
        for crowd in (few, *many) if stands_alone else many:
            yield Figure(
                f"growth_{key}_{crowd.key}",
                "growth",
                f"{kind.name}, {crowd.name}",
                kind.unit,
                tuple(crowd.values[key]),
                "" if stands_alone else f"with {few.name}",
                () if stands_alone else tuple(few.values[key]),
                kind.target,
            )


def _running(world: World, stack: ExitStack, count: int) -> tuple[_Crowd, Figure]:
    daemon = stack.enter_context(world.daemon(*_OPTIONS))
    probing = stack.enter_context(probed(world, daemon))
    before = resident(daemon.pids)
    probing.clients[0].start_many(["sleep", "infinity"], count)
    crowd = _Crowd(f"{count}_running", f"{count:,} running", probing)
    return crowd, _memory(crowd, "running_job", (resident(daemon.pids) - before) / count)


def _finished(world: World, stack: ExitStack, directory: StateDirectory, count: int) -> tuple[_Crowd, Figure]:
    with world.daemon(*_OPTIONS) as empty:
        before = resident(empty.pids)
    daemon = stack.enter_context(world.daemon(*_OPTIONS, state_dir=directory.path))
    after = resident(daemon.pids)
    crowd = _Crowd(f"{count}_finished", f"{count:,} finished", stack.enter_context(probed(world, daemon)))
    return crowd, _memory(crowd, "finished_job", (after - before) / count)


def _memory(crowd: _Crowd, each: str, value: float) -> Figure:
    name = f"RSS for each {each.replace('_', ' ')}, {crowd.name}"
    return Figure(f"growth_{each}_{crowd.key}", "growth", name, Unit.BYTES, (value,), target=Below(MOST_BYTES[each]))


def _ready(world: World, sizes: Sizes, finished: StateDirectory) -> Figure:
    """Measures the start of a daemon that has nothing, and of one that has finished jobs, in turns."""
    ready, empty = [], []
    for _ in range(sizes.rounds):
        empty.append(ready_seconds(world, world.folder("ready"), *_OPTIONS))
        ready.append(ready_seconds(world, finished.path, *_OPTIONS))
    count = sizes.finished_jobs
    return Figure(
        f"growth_ready_{count}_finished",
        "growth",
        f"daemon until READY, {count:,} finished",
        Unit.SECONDS,
        tuple(ready),
        "without jobs",
        tuple(empty),
        Below(_MOST_READY_SECONDS),
    )
