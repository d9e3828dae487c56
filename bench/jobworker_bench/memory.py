"""Resident memory of daemon and supervisor, and what jobs, followers and output add to it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING

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
# What each adds at most, and how it is told.
_ADDS = {
    "running_job": ("each running job", 20 * _KIB),
    "finished_job": ("each finished job", 1 * _KIB),
    "follower": ("each follower, waiting", 300 * _KIB),
    "follower_read": ("each follower, a second after it has read 1 MiB", 300 * _KIB),
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
            waiting, read = _followers(world, daemon, client, sizes.followers)
            added["follower"].append(waiting)
            added["follower_read"].append(read)
    limit = ("a Python that has imported grpc", tuple(bare))
    name = "RSS daemon + supervisor, idle"
    yield Figure("memory_idle", "memory", name, Unit.BYTES, tuple(idle), *limit, AtMost(1.5))
    for key, (name, most) in _ADDS.items():
        yield Figure(
            f"memory_per_{key}", "memory", f"RSS for {name}", Unit.BYTES, tuple(added[key]), target=Below(most)
        )
    yield _output(world, sizes.large_output_bytes)


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


def _followers(world: World, daemon: Daemon, client: Client, count: int) -> tuple[float, float]:
    """Returns what each follower adds while it waits, and a second after it has read 1 MiB.

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


def _output(world: World, size: int) -> Figure:
    """Measures after an output that is followed, of which the log keeps the end alone."""
    with world.daemon(f"--log-limit={_LOG_LIMIT}") as daemon, daemon.connect() as client:
        # As much as the log keeps, so that every buffer has been as large as it gets.
        client.finish(_start_output(client, 128 << 20))
        before = resident(daemon.pids)
        client.finish(_start_output(client, size))
        growth = resident(daemon.pids) - before
    name = f"RSS added by {size / (1 << 30):g} GiB of output, followed"
    return Figure("memory_output", "memory", name, Unit.BYTES, (growth,), target=Below(_NOISE))


def _start_output(client: Client, size: int) -> str:
    return client.start(["dd", "if=/dev/zero", "bs=64K", f"count={size >> 16}", "status=none"])
