"""What daemon and supervisor spend when nobody asks them for anything."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from jobworker_bench.client import writer
from jobworker_bench.figures import Below, Figure
from jobworker_bench.followers import Pipe, following
from jobworker_bench.units import Unit
from jobworker_bench.usage import cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker_bench.client import Client
    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import Daemon, World

RUNNING = 200
FOLLOWERS = 50
_MOST_SECONDS_A_GIB = 0.05
MOST_CORES_IDLE = 0.001


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures output that nobody follows, then quiet jobs with quiet followers.

    Args:
        world: Gives the daemons.
        sizes: How much output, how long, and how often.
    """
    yield _unfollowed(world, sizes)
    yield _idle(world, sizes)


def _unfollowed(world: World, sizes: Sizes) -> Figure:
    with world.daemon() as daemon, daemon.connect() as client:
        # The first job of all loads code.
        client.finish(client.start(["true"]))
        spent = [unfollowed(daemon, client, sizes.unfollowed_bytes) for _ in range(sizes.rounds)]
    return Figure(
        "cpu_per_gib_unfollowed",
        "cpu",
        "CPU time of daemon + supervisor for each GiB that nobody follows",
        Unit.SECONDS,
        tuple(spent),
        target=Below(_MOST_SECONDS_A_GIB),
    )


def unfollowed(daemon: Daemon, client: Client, size: int) -> float:
    """Returns the processor time that a daemon takes for each GiB of an output that nobody follows, in seconds.

    Args:
        daemon: The daemon.
        client: Connected to it.
        size: Of the output, in bytes; a multiple of 64 KiB.
    """
    before = cpu_seconds(daemon.pids)
    job_id = client.start(writer(size))
    # To be told of the end without following the output.
    client.wait(job_id)
    spent = cpu_seconds(daemon.pids) - before
    client.delete(job_id)
    return spent / (size / (1 << 30))


def idling(daemon: Daemon, seconds: float) -> float:
    """Returns how much of a core a daemon takes while nothing happens.

    Args:
        daemon: The daemon.
        seconds: For how long it is looked at.
    """
    before, begin = cpu_seconds(daemon.pids), time.monotonic()
    # What is measured is time in which nothing happens.
    time.sleep(seconds)
    return (cpu_seconds(daemon.pids) - before) / (time.monotonic() - begin)


@contextmanager
def quiet(world: World, daemon: Daemon) -> Iterator[None]:
    """Gives a daemon 200 running jobs, of which 50 are followed, and lets them be quiet until the context is left.

    Args:
        world: Gives a folder for pipes.
        daemon: The daemon.
    """
    with ExitStack() as stack:
        client, pipes = stack.enter_context(daemon.connect()), world.folder("pipes")
        client.start_many(["sleep", "infinity"], RUNNING - FOLLOWERS)
        written = [stack.enter_context(Pipe(pipes / str(number))) for number in range(FOLLOWERS)]
        jobs = [client.start(pipe.command) for pipe in written]
        for pipe in written:
            pipe.write(1)
        stack.enter_context(following(daemon.address, daemon.certs, jobs, FOLLOWERS))
        yield


def _idle(world: World, sizes: Sizes) -> Figure:
    with world.daemon() as daemon, quiet(world, daemon):
        spent = [idling(daemon, sizes.idle_seconds) for _ in range(sizes.rounds)]
    return Figure(
        "cpu_idle",
        "cpu",
        f"idle: {RUNNING} running jobs, {FOLLOWERS} quiet followers, of a core",
        Unit.CORES,
        tuple(spent),
        target=Below(MOST_CORES_IDLE),
    )
