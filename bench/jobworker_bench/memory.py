"""Resident memory of the daemon and its supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobworker_bench.client import connect
from jobworker_bench.figures import Figure, mebibytes
from jobworker_testing import resident_bytes

if TYPE_CHECKING:
    from pathlib import Path

_ALLOWED_GROWTH = 5 << 20


def _figure(name: str, resident: list[int]) -> Figure:
    return Figure(name, " + ".join(map(mebibytes, resident)))


def measure(address: str, certs: Path, pids: tuple[int, int], size: int) -> list[Figure]:
    """Measures a fresh daemon idle, after an output, after 1,000 finished jobs, and with 200 running ones.

    Args:
        address: The daemon's; it has run nothing yet.
        certs: Folder of the development certificates.
        pids: The daemon's and its supervisor's.
        size: Of the output, in bytes; a multiple of 1 MiB.
    """

    def resident() -> list[int]:
        return [resident_bytes(pid) for pid in pids]

    figures = [_figure("RSS daemon + supervisor, idle", resident())]
    with connect(address, certs) as client:
        # The first read of all loads code and makes buffers that later ones use again.
        client.finish(client.start(["head", "-c", "1M", "/dev/zero"]))
        before = resident()
        client.finish(client.start(["head", "-c", str(size), "/dev/zero"]))
        growth = sum(resident()) - sum(before)
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
        figures.append(_figure("RSS with 1,000 finished jobs", resident()))
        running = [client.start(["sleep", "600"]) for _ in range(200)]
        figures.append(_figure("RSS with 200 running jobs besides", resident()))
        for job_id in running:
            client.stop(job_id)
    return figures
