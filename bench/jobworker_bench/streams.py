"""How fast a follower gets a large output, beside a bare TLS socket."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from jobworker_bench.bare_tls import receive_rate
from jobworker_bench.figures import AtLeast, Figure
from jobworker_bench.units import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobworker_bench.client import Client
    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import World

_BLOCK = 64 << 10


def _follow_rate(client: Client, job_id: str, size: int) -> float:
    begin = time.perf_counter()
    received = sum(map(len, client.follow(job_id)))
    duration = time.perf_counter() - begin
    if received != size:
        raise RuntimeError(f"{received} bytes came, not {size}")
    return size / duration


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures following an output while it is written, reading it when it is finished, and the bare socket.

    Raises:
        RuntimeError: If not every byte came.
    """
    size = sizes.output_bytes
    followed, read, bare = [], [], []
    with world.daemon() as daemon, daemon.connect() as client:
        file = _file(daemon.state_dir / "bare", size)
        for _ in range(sizes.rounds):
            bare.append(receive_rate(daemon.certs, file))
            job_id = client.start(["dd", "if=/dev/zero", f"bs={_BLOCK}", f"count={size // _BLOCK}", "status=none"])
            followed.append(_follow_rate(client, job_id, size))
            read.append(_follow_rate(client, job_id, size))
            # Nor must the next round pay for writing this one's output back to the disk.
            for log in daemon.state_dir.glob(f"logs/{job_id}.*"):
                log.unlink()
    beside = ("bare TLS 1.3 socket", tuple(bare))
    unit, mebibytes = Unit.BYTES_PER_SECOND, size >> 20
    name = f"follow {mebibytes} MiB as it is written"
    yield Figure("follow_written", "streams", name, unit, tuple(followed), *beside, AtLeast(0.7))
    name = f"read {mebibytes} MiB when finished"
    yield Figure("read_finished", "streams", name, unit, tuple(read), *beside, AtLeast(0.9))


def _file(path: Path, size: int) -> Path:
    with path.open("wb") as target:
        for _ in range(size // _BLOCK):
            target.write(bytes(_BLOCK))
        target.flush()
        os.fsync(target.fileno())
    return path
