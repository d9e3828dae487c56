"""Jobs started and finished per second, and the latency of a start, beside the kernel's own rate."""

from __future__ import annotations

import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from jobworker.v1 import job_worker_pb2 as pb
from jobworker_bench.client import Client, connect
from jobworker_bench.figures import Figure, milliseconds, percentile

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = "/bin/true"
_ROUNDS = 3


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


def measure(address: str, certs: Path, count: int) -> list[Figure]:
    """Measures with 1 and with 8 clients, in interleaved rounds.

    Args:
        address: Of a daemon that runs nothing else.
        certs: Folder of the development certificates.
        count: Jobs a round.
    """
    bare, one, eight, latencies = [], [], [], []
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(address, certs)) for _ in range(8)]
        for _ in range(_ROUNDS):
            bare.append(bare_rate(count))
            rate, fresh = _rate(clients[:1], count)
            one.append(rate)
            latencies += fresh
            eight.append(_rate(clients, count)[0])
    limit = statistics.median(bare)
    return [
        _figure("jobs/s, 1 client", statistics.median(one), limit, None),
        _figure("jobs/s, 8 clients", statistics.median(eight), limit, 0.6),
        Figure("start latency p50, 1 client", milliseconds(percentile(latencies, 50))),
        Figure("start latency p99, 1 client", milliseconds(percentile(latencies, 99))),
    ]


def _figure(name: str, rate: float, limit: float, target: float | None) -> Figure:
    ratio = rate / limit
    if target is None:
        return Figure(name, f"{rate:.0f}/s", f"spawn and wait: {limit:.0f}/s", ratio)
    return Figure(name, f"{rate:.0f}/s", f"spawn and wait: {limit:.0f}/s", ratio, f"≥ {target}", ratio >= target)
