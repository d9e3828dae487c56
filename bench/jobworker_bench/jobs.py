"""Jobs started and finished per second, beside what C and the kernel get done on all cores."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from jobworker.v1 import job_worker_pb2 as pb
from jobworker_bench.bare_grpc import calling, serving
from jobworker_bench.figures import AtLeast, Figure
from jobworker_bench.spawning import spawn_and_wait
from jobworker_bench.turns import turns
from jobworker_bench.units import Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jobworker_bench.client import Client
    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import World

PROGRAM = "/bin/true"
_CLIENTS = (1, 8, 32)
_TARGETS = {8: AtLeast(0.5), 32: AtLeast(0.5)}


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures with 1, 8 and 32 clients, each with a connection of its own, all in one Python process.

    Beside it, how many calls a server of grpc.aio answers to as many of the same clients if it does nothing else.

    Raises:
        RuntimeError: If a job did not succeed.
    """
    cores = os.cpu_count() or 1
    bare: list[float] = []
    rates: dict[int, list[float]] = {count: [] for count in _CLIENTS}
    empty: dict[int, list[float]] = {count: [] for count in _TARGETS}
    with world.daemon() as daemon, serving(world.certs) as address, ExitStack() as stack:
        clients = [stack.enter_context(daemon.connect()) for _ in range(max(_CLIENTS))]
        calls = [stack.enter_context(calling(address, world.certs)) for _ in range(max(_CLIENTS))]

        def of_jobs(count: int) -> None:
            rates[count].append(rate(clients[:count], sizes.jobs // count))

        def of_calls(count: int) -> None:
            empty[count].append(_rate_of_calls(calls[:count], sizes.jobs // count))

        def of_spawns() -> None:
            bare.append(spawn_and_wait(world, sizes.jobs, cores).per_second)

        measured: list[Callable[[], None]] = [
            of_spawns,
            *(partial(of_jobs, count) for count in rates),
            *(partial(of_calls, count) for count in empty),
        ]
        for measure_one in turns(measured, sizes.rounds):
            measure_one()
    beside = (f"posix_spawn and wait in C, {cores} processes", tuple(bare))
    for count, values in rates.items():
        name = f"jobs/s, {count} client{'s' * (count > 1)}"
        target = _TARGETS.get(count)
        yield Figure(f"jobs_per_second_{count}", "jobs", name, Unit.PER_SECOND, tuple(values), *beside, target)
    for count, values in empty.items():
        name = f"empty calls/s of a bare grpc.aio server, {count} clients"
        yield Figure(f"empty_calls_per_second_{count}", "jobs", name, Unit.PER_SECOND, tuple(values), *beside)


def rate(clients: Sequence[Client], each: int) -> float:
    """Returns how many jobs a second some clients get started and finished.

    Args:
        clients: They start jobs at once, each its own one after the other.
        each: How many jobs each of them starts.

    Raises:
        RuntimeError: If a job did not succeed.
    """
    total = each * len(clients)
    began = time.perf_counter()
    with ThreadPoolExecutor(len(clients)) as pool:
        started = {job_id for ids in pool.map(_start_many, clients, [each] * len(clients)) for job_id in ids}
    finish_newest(clients[0], total)
    duration = time.perf_counter() - began
    ended = {job.id: job.state for job in clients[0].newest(total)}
    if ended != dict.fromkeys(started, pb.JOB_STATE_SUCCEEDED):
        raise RuntimeError(f"not every job succeeded: {set(ended.values())}, {len(ended)} of {len(started)}")
    return total / duration


def _rate_of_calls(calls: Sequence[Callable[[bytes], bytes]], each: int) -> float:
    def make(call: Callable[[bytes], bytes]) -> None:
        for _ in range(each):
            call(b"")

    began = time.perf_counter()
    with ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(make, calls))
    return each * len(calls) / (time.perf_counter() - began)


def finish_newest(client: Client, count: int) -> None:
    """Waits for those of the newest jobs that still run: each starter waits for its last one alone, if at all."""
    for job in client.newest(count):
        if job.state == pb.JOB_STATE_RUNNING:
            client.finish(job.id)


def _start_many(client: Client, count: int) -> list[str]:
    """Starts jobs one after the other, waits for the last, and returns their ids."""
    ids = [client.start([PROGRAM]) for _ in range(count)]
    client.finish(ids[-1])
    return ids
