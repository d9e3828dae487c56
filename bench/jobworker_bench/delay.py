"""How late a line reaches a follower, one each 20 ms, beside a line through a bare TLS socket."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from jobworker_bench import bare_tls
from jobworker_bench.bare_tls import TICK_SECONDS
from jobworker_bench.figures import Below, Figure, percentile
from jobworker_bench.units import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker_bench.client import Client
    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import World

_MOST_SECONDS = {50: 0.001, 99: 0.003}

# CLOCK_MONOTONIC is one clock for all processes of a host.
_TICKS = """
import time
for _ in range({count}):
    print(time.monotonic_ns(), flush=True)
    time.sleep({seconds})
"""


def delays(client: Client, count: int) -> list[float]:
    """Returns how long each of some lines took from a job's write to this process, in seconds.

    Args:
        client: Follows the job.
        count: How many lines, one each 20 ms.

    Raises:
        RuntimeError: If not every line came.
    """
    taken: list[float] = []
    job_id = client.start([sys.executable, "-ISc", _TICKS.format(count=count, seconds=TICK_SECONDS)])
    for lines in client.follow(job_id):
        now = time.monotonic_ns()
        taken += [(now - int(line)) / 1e9 for line in lines.splitlines()]
    if len(taken) != count:
        raise RuntimeError(f"{len(taken)} lines came from the job, not {count}")
    return taken


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures in interleaved rounds.

    Args:
        world: Gives the daemon.
        sizes: How many lines, and how often.

    Raises:
        RuntimeError: If not every line came.
    """
    ours, bare = [], []
    with world.daemon() as daemon, daemon.connect() as client:
        for _ in range(sizes.rounds):
            bare.append(bare_tls.delays(world.certs, sizes.delay_lines))
            ours.append(delays(client, sizes.delay_lines))
    for percent, most in _MOST_SECONDS.items():
        yield Figure(
            f"delay_p{percent}",
            "delay",
            f"write to receipt, p{percent}",
            Unit.SECONDS,
            tuple(percentile(taken, percent) for taken in ours),
            f"one way through a bare TLS 1.3 socket, p{percent}",
            tuple(percentile(taken, percent) for taken in bare),
            Below(most),
        )
