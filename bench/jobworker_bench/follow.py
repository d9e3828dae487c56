"""How fast a follower gets a large output, beside a bare TLS socket; and how late a small one reaches it."""

from __future__ import annotations

import os
import statistics
import sys
import time
from typing import TYPE_CHECKING

from jobworker_bench.bare_tls import receive_rate
from jobworker_bench.client import Client, connect
from jobworker_bench.figures import Figure, megabytes_per_second, milliseconds, percentile

if TYPE_CHECKING:
    from pathlib import Path

_ROUNDS = 3
_BLOCK = 64 << 10
_DELAY_P50 = 0.002
_DELAY_P99 = 0.010

# CLOCK_MONOTONIC is one clock for all processes of a host.
_TICKS = """
import time
for _ in range({count}):
    print(time.monotonic_ns(), flush=True)
    time.sleep(0.02)
"""


def _follow_rate(client: Client, job_id: str, size: int) -> float:
    begin = time.perf_counter()
    received = sum(map(len, client.follow(job_id)))
    duration = time.perf_counter() - begin
    if received != size:
        raise RuntimeError(f"{received} bytes came, not {size}")
    return size / duration


def throughput(address: str, certs: Path, size: int, state_dir: Path) -> list[Figure]:
    """Measures following an output while it is written, reading it when it is finished, and the bare socket.

    Args:
        address: The daemon's.
        certs: Folder of the development certificates.
        size: Of the output, in bytes; a multiple of 64 KiB.
        state_dir: The daemon's; the file that the bare socket sends lies there too.

    Raises:
        RuntimeError: If not every byte came.
    """
    file = state_dir / "bare"
    with file.open("wb") as target:
        for _ in range(size // _BLOCK):
            target.write(bytes(_BLOCK))
        target.flush()
        os.fsync(target.fileno())
    followed, read, bare = [], [], []
    with connect(address, certs) as client:
        for _ in range(_ROUNDS):
            bare.append(receive_rate(certs, file))
            job_id = client.start(["dd", "if=/dev/zero", f"bs={_BLOCK}", f"count={size // _BLOCK}", "status=none"])
            followed.append(_follow_rate(client, job_id, size))
            read.append(_follow_rate(client, job_id, size))
            # Nor must the next round pay for writing this one's output back to the disk.
            for log in state_dir.glob(f"logs/{job_id}.*"):
                log.unlink()
    file.unlink()
    return [
        _figure(f"follow {size >> 20} MiB as it is written", followed, bare, 0.6),
        _figure(f"read {size >> 20} MiB when finished", read, bare, None),
    ]


def _figure(name: str, rates: list[float], bare: list[float], target: float | None) -> Figure:
    rate, limit = statistics.median(rates), statistics.median(bare)
    beside = f"bare TLS 1.3 socket: {megabytes_per_second(limit)}"
    if target is None:
        return Figure(name, megabytes_per_second(rate), beside, rate / limit)
    return Figure(name, megabytes_per_second(rate), beside, rate / limit, f"≥ {target}", rate / limit >= target)


def delay(address: str, certs: Path, count: int) -> list[Figure]:
    """Measures the time from a job's write of a line to its receipt, one line each 20 ms."""
    delays: list[float] = []
    with connect(address, certs) as client:
        job_id = client.start([sys.executable, "-ISc", _TICKS.format(count=count)])
        for chunk in client.follow(job_id):
            now = time.monotonic_ns()
            delays += [(now - int(line)) / 1e9 for line in chunk.splitlines()]
    half, most = percentile(delays, 50), percentile(delays, 99)
    return [
        Figure("write to receipt p50", milliseconds(half), target="< 2 ms", met=half < _DELAY_P50),
        Figure("write to receipt p99", milliseconds(most), target="< 10 ms", met=most < _DELAY_P99),
    ]
