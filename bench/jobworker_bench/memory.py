"""Resident memory of the daemon and its supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobworker_bench.client import connect
from jobworker_bench.figures import Figure, mebibytes
from jobworker_testing import children_of, resident_bytes

if TYPE_CHECKING:
    from pathlib import Path

_ALLOWED_GROWTH = 5 << 20


def _resident(pid: int) -> tuple[int, int]:
    (supervisor,) = children_of(pid)
    return resident_bytes(pid), resident_bytes(supervisor)


def _figure(name: str, resident: tuple[int, int]) -> Figure:
    return Figure(name, f"{mebibytes(resident[0])} + {mebibytes(resident[1])}")


def measure(address: str, certs: Path, pid: int, size: int) -> list[Figure]:
    """Measures a fresh daemon idle, after an output, after 1,000 finished jobs, and with 200 running ones.

    Args:
        address: The daemon's; it has run nothing yet.
        certs: Folder of the development certificates.
        pid: The daemon's.
        size: Of the output, in bytes; a multiple of 1 MiB.
    """
    figures = [_figure("RSS daemon + supervisor, idle", _resident(pid))]
    with connect(address, certs) as client:
        # The first read of all loads code and makes buffers that later ones use again.
        client.finish(client.start(["head", "-c", "1M", "/dev/zero"]))
        before = _resident(pid)
        client.finish(client.start(["head", "-c", str(size), "/dev/zero"]))
        growth = sum(_resident(pid)) - sum(before)
        figures.append(
            Figure(
                f"RSS growth over {size >> 20} MiB of output, followed",
                mebibytes(growth),
                target="≤ 5 MiB",
                met=growth <= _ALLOWED_GROWTH,
            )
        )
        for _ in range(1000):
            last = client.start(["/bin/true"])
        client.finish(last)
        figures.append(_figure("RSS with 1,000 finished jobs", _resident(pid)))
        running = [client.start(["sleep", "600"]) for _ in range(200)]
        figures.append(_figure("RSS with 200 running jobs besides", _resident(pid)))
        for job_id in running:
            client.stop(job_id)
    return figures
