"""How late a small output reaches a follower."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from jobworker_bench.figures import Below, Figure, percentile
from jobworker_bench.units import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import World

# CLOCK_MONOTONIC is one clock for all processes of a host.
_TICKS = """
import time
for _ in range({count}):
    print(time.monotonic_ns(), flush=True)
    time.sleep(0.02)
"""


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures the time from a job's write of a line to its receipt, one line each 20 ms."""
    delays: list[float] = []
    with world.daemon() as daemon, daemon.connect() as client:
        job_id = client.start([sys.executable, "-ISc", _TICKS.format(count=sizes.delay_lines)])
        for chunk in client.follow(job_id):
            now = time.monotonic_ns()
            delays += [(now - int(line)) / 1e9 for line in chunk.splitlines()]
    for percent, wanted in ((50, 0.001), (99, 0.003)):
        name, value = f"write to receipt p{percent}", percentile(delays, percent)
        yield Figure(f"delay_p{percent}", "delay", name, Unit.SECONDS, (value,), target=Below(wanted))
