"""What making processes costs without us: the C program spawn_and_wait."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jobworker_bench.world import World


class Spawning(NamedTuple):
    """What the program says.

    Attributes:
        per_second: How many programs a second were spawned and waited for.
        seconds: The median of one posix_spawn, until the program is executed.
    """

    per_second: float
    seconds: float


def spawn_and_wait(world: World, count: int, processes: int) -> Spawning:
    """Spawns /bin/true and waits for it.

    Args:
        world: Has the program.
        count: How often at least; it is rounded up to a multiple of the processes.
        processes: How many do so at once.
    """
    command = [str(world.limit("spawn_and_wait")), str(-(-count // processes) * processes), str(processes)]
    rate, seconds = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return Spawning(float(rate), float(seconds))
