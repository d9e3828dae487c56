"""How long a stop takes until it is answered, when the job's processes are gone, beside killing them alone."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from jobworker_bench.bare_stop import bare_stop, manner, tree
from jobworker_bench.figures import AtMost, Figure
from jobworker_bench.units import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker_bench.client import Client
    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import World

_PROCESSES = (1, 200)
_TARGET = AtMost(1, plus=0.003)


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures a job of one process and one of 200, in turns; a round's value is the median of its stops."""
    stops: dict[int, list[float]] = {count: [] for count in _PROCESSES}
    kills: dict[int, list[float]] = {count: [] for count in _PROCESSES}
    with world.daemon() as daemon, daemon.connect() as client:
        for _ in range(sizes.rounds):
            for count in _PROCESSES:
                kills[count].append(statistics.median(bare_stop(count, sizes.stops)))
                stops[count].append(statistics.median(stop_seconds(client, count) for _ in range(sizes.stops)))
    for count in _PROCESSES:
        name = f"stop to answer, {count} process{'es' * (count > 1)}"
        beside = (f"{manner()} and wait", tuple(kills[count]))
        yield Figure(f"stop_{count}", "stop", name, Unit.SECONDS, tuple(stops[count]), *beside, _TARGET)


def stop_seconds(client: Client, processes: int) -> float:
    """Returns how long the stop of a job of so many processes took, all of which were there, in seconds."""
    job_id = client.start(tree(processes))
    output = client.follow(job_id)
    # Until all of its processes are there.
    next(output)
    began = time.perf_counter()
    client.stop(job_id)
    duration = time.perf_counter() - began
    for _ in output:
        pass
    return duration
