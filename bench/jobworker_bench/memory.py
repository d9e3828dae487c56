"""Resident memory of the daemon and its supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobworker_bench.figures import Below, Figure
from jobworker_bench.units import Unit
from jobworker_testing import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import Daemon, World


def _resident(daemon: Daemon) -> int:
    return resident_bytes(daemon.pid) + resident_bytes(daemon.supervisor)


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures a fresh daemon idle and after an output."""
    with world.daemon() as daemon, daemon.connect() as client:
        # The first read of all loads code and makes buffers that later ones use again.
        client.finish(client.start(["head", "-c", "1M", "/dev/zero"]))
        before = _resident(daemon)
        client.finish(client.start(["head", "-c", str(sizes.output_bytes), "/dev/zero"]))
        growth = _resident(daemon) - before
    yield Figure("memory_idle", "memory", "RSS daemon + supervisor, idle", Unit.BYTES, (before,))
    name = f"RSS growth over {sizes.output_bytes >> 20} MiB of output"
    yield Figure("memory_output", "memory", name, Unit.BYTES, (growth,), target=Below(5 << 20))
