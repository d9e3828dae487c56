"""How far a follower is behind a job that writes many small lines, beside that job without us."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from jobworker_bench.figures import AtMost, Figure
from jobworker_bench.units import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobworker_bench.client import Client
    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import World

LINE_BYTES = 100


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures the job into /dev/null, into a file beside the logs, and followed, in turns.

    Raises:
        RuntimeError: If not every byte came.
    """
    count = sizes.small_lines
    command = [str(world.limit("write_lines")), str(count)]
    nowhere: list[float] = []
    alone: list[float] = []
    followed: list[float] = []
    with world.daemon() as daemon, daemon.connect() as client:
        for _ in range(sizes.rounds):
            nowhere.append(_time_into(command, Path("/dev/null")))
            file = daemon.state_dir / "lines"
            alone.append(_time_into(command, file))
            file.unlink()
            followed.append(time_followed(client, command, count * LINE_BYTES))
    name = f"{count:,} lines of {LINE_BYTES} bytes"
    null, own = ("into /dev/null", tuple(nowhere)), ("into a file", tuple(alone))
    yield Figure("lines_file", "lines", f"{name}, into a file", Unit.SECONDS, tuple(alone), *null)
    yield Figure("lines_followed", "lines", f"{name}, followed", Unit.SECONDS, tuple(followed), *own, AtMost(1.2))


def _time_into(command: Sequence[str], file: Path) -> float:
    # Opened as a job's output log is.
    with file.open("ab") as target:
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=target)
        return time.perf_counter() - began


def time_followed(client: Client, command: Sequence[str], size: int) -> float:
    """Returns how many seconds it took from the start of a job until a follower had all of its output.

    Args:
        client: Starts and follows it.
        command: What it runs.
        size: Of the output, in bytes.

    Raises:
        RuntimeError: If another number of bytes came.
    """
    began = time.perf_counter()
    received = sum(map(len, client.follow(client.start(command))))
    duration = time.perf_counter() - began
    if received != size:
        raise RuntimeError(f"{received} bytes came, not {size}")
    return duration
