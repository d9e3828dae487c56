"""Resident memory of daemon and supervisor, and what jobs, followers and output add to it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from jobworker.v1 import job_worker_pb2 as pb
from jobworker_bench.client import writer
from jobworker_bench.figures import AtMost, Below, Figure
from jobworker_bench.followers import Pipe, following
from jobworker_bench.units import Unit
from jobworker_bench.usage import resident

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker_bench.client import Client
    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import Daemon, World

_KIB = 1 << 10
_READ_BYTES = 1 << 20
_NOISE = 5 << 20
_LOG_LIMIT = "64M"
MOST_BYTES = {
    "running_job": 20 * _KIB,
    "finished_job": 1 * _KIB,
    "follower": 300 * _KIB,
    "follower_read": 300 * _KIB,
}
"""What each may add."""
_NAMES = {
    "running_job": "each running job",
    "finished_job": "each finished job",
    "follower": "each follower, waiting",
    "follower_read": "each follower, a second after it has read 1 MiB",
}
_IMPORTING = "import grpc, sys; print(flush=True); sys.stdin.read()"


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures in rounds, each with a fresh daemon, then after a large output.

    Args:
        world: Gives the daemons.
        sizes: How many jobs, followers and bytes, and how often.

    Raises:
        RuntimeError: If a follower did not get every byte.
    """
    bare, idle, added = [], [], defaultdict[str, list[float]](list)
    for _ in range(sizes.memory_rounds):
        bare.append(_bare())
        with world.daemon("--max-jobs-per-principal=0") as daemon, daemon.connect() as client:
            idle.append(resident(daemon.pids))
            _warm_up(client, sizes)
            added["running_job"].append(_running(daemon, client, sizes.running_jobs))
            added["finished_job"].append(_finished(daemon, client, sizes.ended_jobs))
            waiting, read = follower_bytes(world, daemon, client, sizes.followers)
            added["follower"].append(waiting)
            added["follower_read"].append(read)
    limit = ("a Python that has imported grpc", tuple(bare))
    name = "RSS daemon + supervisor, idle"
    yield Figure("memory_idle", "memory", name, Unit.BYTES, tuple(idle), *limit, AtMost(1.5))
    for key, most in MOST_BYTES.items():
        name = f"RSS for {_NAMES[key]}"
        yield Figure(f"memory_per_{key}", "memory", name, Unit.BYTES, tuple(added[key]), target=Below(most))
    yield from _output(world, sizes)


def _bare() -> int:
    """Returns the resident memory of a Python that has imported grpc."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-Pc", _IMPORTING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        if process.stdout:
            process.stdout.readline()
        return resident([process.pid])


def _warm_up(client: Client, sizes: Sizes) -> None:
    """Has the daemon do all that is measured once: it loads code, and makes buffers that are used again."""
    client.finish(client.start(["head", "-c", str(_READ_BYTES), "/dev/zero"]))
    client.stop_many(client.start_many(["sleep", "infinity"], sizes.running_jobs // 10))
    _finish_many(client, sizes.ended_jobs // 10)


def _finish_many(client: Client, count: int) -> None:
    for job_id in client.start_many(["true"], count):
        client.finish(job_id)


def _running(daemon: Daemon, client: Client, count: int) -> float:
    before = resident(daemon.pids)
    jobs = client.start_many(["sleep", "infinity"], count)
    added = (resident(daemon.pids) - before) / count
    client.stop_many(jobs)
    return added


def _finished(daemon: Daemon, client: Client, count: int) -> float:
    before = resident(daemon.pids)
    _finish_many(client, count)
    return (resident(daemon.pids) - before) / count


def follower_bytes(world: World, daemon: Daemon, client: Client, count: int) -> tuple[float, float]:
    """Returns the bytes that each follower adds while it waits, and a second after it has read 1 MiB.

    Args:
        world: Gives a folder for a pipe.
        daemon: The daemon.
        client: Connected to it.
        count: How many followers.

    Raises:
        RuntimeError: If a follower did not get every byte.
    """
    with Pipe(world.folder("pipes") / "pipe") as pipe:
        job_id = client.start(pipe.command)
        pipe.write(1)
        before = resident(daemon.pids)
        with following(daemon.address, daemon.certs, [job_id], count) as followers:
            waiting = resident(daemon.pids) - before
            pipe.write(_READ_BYTES)
            received = followers.read(_READ_BYTES)
            # A follower stays long; what many have needed at once is given back when they are quiet.
            time.sleep(1)
            read = resident(daemon.pids) - before
    if set(received) != {_READ_BYTES}:
        raise RuntimeError(f"not every follower got all: {sorted(set(received))}")
    return waiting / count, read / count


def _output(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures after outputs that are followed, one after the other, of each of which the log keeps the end alone.

    Raises:
        RuntimeError: If what a follower got, and was told that is gone, is not all of an output.
    """
    size = sizes.large_output_bytes
    with world.daemon(f"--log-limit={_LOG_LIMIT}") as daemon, daemon.connect() as client:
        # As much as the log keeps, so that every buffer has been as large as it gets.
        _follow_output(client, 128 << 20)
        before = resident(daemon.pids)
        growths, shares = [], []
        for _ in range(sizes.memory_rounds):
            shares.append(_follow_output(client, size) / size)
            growths.append(resident(daemon.pids) - before)
    name = f"RSS added by {size / (1 << 30):g} GiB of output, followed, once and again"
    yield Figure("memory_output", "memory", name, Unit.BYTES, tuple(growths), target=Below(_NOISE))
    name = "what its follower got of it, the rest being released before"
    yield Figure("memory_output_received", "memory", name, Unit.RATIO, tuple(shares))


def _follow_output(client: Client, size: int) -> int:
    """Returns how many bytes of an output reached its follower.

    Raises:
        RuntimeError: If it was not told of all others that they are gone.
    """
    job_id = client.start(writer(size))
    request = pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT, follow=True)
    received = gone = 0
    for frame in client.stub.ReadLogs(request):
        received += len(frame.data.data)
        gone += frame.gap.to - int(getattr(frame.gap, "from"))
    if received + gone != size:
        raise RuntimeError(f"{received} bytes came and {gone} were told to be gone, of {size}")
    return received
