"""Jobs started and finished per second, and the latency of a start, beside the kernel's own rate."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from jobworker.v1 import job_worker_pb2 as pb
from jobworker_bench.figures import AtLeast, Figure, percentile
from jobworker_bench.units import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker_bench.client import Client
    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import World

_PROGRAM = "/bin/true"


def bare_rate(count: int) -> float:
    """Returns how many times a second this machine spawns a program and waits for it, one after the other."""
    environment = {"PATH": "/usr/bin:/bin"}
    begin = time.perf_counter()
    for _ in range(count):
        os.waitpid(os.posix_spawn(_PROGRAM, [_PROGRAM], environment), 0)
    return count / (time.perf_counter() - begin)


def _start_many(client: Client, count: int) -> list[float]:
    """Starts jobs one after the other, waits for the last, and returns how long each start took."""
    latencies, job_id = [], ""
    for _ in range(count):
        begin = time.perf_counter()
        job_id = client.start([_PROGRAM])
        latencies.append(time.perf_counter() - begin)
    client.finish(job_id)
    return latencies


def _rate(clients: list[Client], count: int) -> tuple[float, list[float]]:
    """Returns how many jobs a second some clients got started and finished, and the latencies of the starts.

    Raises:
        RuntimeError: If a job did not succeed.
    """
    before = len(clients[0].jobs())
    begin = time.perf_counter()
    with ThreadPoolExecutor(len(clients)) as pool:
        each = list(pool.map(_start_many, clients, [count // len(clients)] * len(clients)))
    # Each client's last job has ended; some that others started later may not have.
    for job in clients[0].jobs():
        if job.state == pb.JOB_STATE_RUNNING:
            clients[0].finish(job.id)
    duration = time.perf_counter() - begin
    states = [job.state for job in clients[0].jobs()]
    if len(states) - before != count // len(clients) * len(clients) or set(states) != {pb.JOB_STATE_SUCCEEDED}:
        raise RuntimeError(f"not every job succeeded: {set(states)}")
    return count / duration, [latency for latencies in each for latency in latencies]


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures with 1 and with 8 clients."""
    bare, one, eight, latencies = [], [], [], []
    with world.daemon() as daemon, ExitStack() as stack:
        clients = [stack.enter_context(daemon.connect()) for _ in range(8)]
        for _ in range(sizes.rounds):
            bare.append(bare_rate(sizes.jobs))
            rate, fresh = _rate(clients[:1], sizes.jobs)
            one.append(rate)
            latencies.append(fresh)
            eight.append(_rate(clients, sizes.jobs)[0])
    beside = ("spawn and wait", tuple(bare))
    yield Figure("jobs_per_second_1", "jobs", "jobs/s, 1 client", Unit.PER_SECOND, tuple(one), *beside)
    yield Figure("jobs_per_second_8", "jobs", "jobs/s, 8 clients", Unit.PER_SECOND, tuple(eight), *beside, AtLeast(0.5))
    for percent in (50, 99):
        values = tuple(percentile(round_, percent) for round_ in latencies)
        yield Figure(f"start_latency_p{percent}", "jobs", f"start latency p{percent}", Unit.SECONDS, values)
