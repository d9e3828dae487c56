"""What a process has used."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobworker_testing import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

_CPUCLOCK_SCHED = 2


def cpu_seconds(pids: Iterable[int]) -> float:
    """Returns the processor time that processes have used so far, of threads that have ended too.

    Raises:
        OSError: If one of them has ended.
    """
    # What clock_getcpuclockid(3) makes of a process id: it counts nanoseconds, where /proc has ticks of 10 ms.
    return sum(time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED) for pid in pids) / 1e9


def resident(pids: Iterable[int]) -> int:
    """Returns the resident memory of processes together, in bytes.

    Raises:
        FileNotFoundError: If one of them has ended.
    """
    return sum(map(resident_bytes, pids))
