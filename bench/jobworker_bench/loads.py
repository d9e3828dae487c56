"""All loads by name, in the order in which they are run and told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from jobworker_bench import cpu, delay, growth, jobs, latency, lines, memory, peers, startup, stop, streams

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jobworker_bench.figures import Figure, NotRun
    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import World


class Load(Protocol):
    """What measures some figures."""

    def __call__(self, world: World, sizes: Sizes) -> Iterator[Figure | NotRun]:
        """Yields figures as they are measured.

        Args:
            world: Gives it daemons of its own.
            sizes: How much to run.
        """


LOADS: Mapping[str, Load] = {
    "jobs": jobs.measure,
    "latency": latency.measure,
    "streams": streams.measure,
    "delay": delay.measure,
    "lines": lines.measure,
    "stop": stop.measure,
    "memory": memory.measure,
    "cpu": cpu.measure,
    "growth": growth.measure,
    "startup": startup.measure,
    "peers": peers.measure,
}
