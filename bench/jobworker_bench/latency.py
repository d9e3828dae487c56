"""How long one client waits for a start, until it has the job's id, beside an empty call and a bare spawn."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from jobworker_bench.bare_grpc import calling, serving
from jobworker_bench.figures import AtMost, Figure, percentile
from jobworker_bench.jobs import PROGRAM
from jobworker_bench.spawning import spawn_and_wait
from jobworker_bench.units import Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jobworker_bench.client import Client
    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import World

_TARGETS = {50: AtMost(1.3), 99: AtMost(3)}


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures in rounds of starts, empty calls, and spawns; each job has ended before the next is started."""
    starts, limits = [], []
    with (
        serving(world.certs) as address,
        calling(address, world.certs) as call,
        world.daemon() as daemon,
        daemon.connect() as client,
    ):
        time_starts(client, 10)
        for _ in range(sizes.rounds):
            empty = statistics.median(_time_calls(call, sizes.latency_starts))
            limits.append(empty + spawn_and_wait(world, sizes.latency_starts, 1).seconds)
            starts.append(time_starts(client, sizes.latency_starts))
    beside = ("empty call p50 + posix_spawn p50", tuple(limits))
    for percent, target in _TARGETS.items():
        values = tuple(percentile(seconds, percent) for seconds in starts)
        name = f"start latency p{percent}, 1 client"
        yield Figure(f"start_latency_p{percent}", "latency", name, Unit.SECONDS, values, *beside, target)


def _time_calls(call: Callable[[bytes], bytes], count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        call(b"")
        seconds.append(time.perf_counter() - began)
    return seconds


def time_starts(client: Client, count: int) -> list[float]:
    """Returns how long each of some starts took, in seconds; each job has ended before the next is started."""
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        job_id = client.start([PROGRAM])
        seconds.append(time.perf_counter() - began)
        client.finish(job_id)
    return seconds
