"""How long `worker-cli list` takes, as a whole process, beside an interpreter that imports gRPC."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from jobworker_bench.client import connect
from jobworker_bench.figures import Figure, milliseconds
from jobworker_testing import client_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TARGET = 1.6


def _wall_time(command: Sequence[str], environment: Mapping[str, str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def measure(address: str, certs: Path, cli: Path, rounds: int) -> list[Figure]:
    """Measures in turns, and compares the medians.

    Args:
        address: The daemon's; it is given ten jobs to list.
        certs: Folder of the development certificates.
        cli: The single-file worker-cli, run by this very interpreter.
        rounds: How many times each.
    """
    site_packages = {path for path in sys.path if path.endswith("site-packages")}
    site_packages.add(str(Path(grpc.__file__).parents[1]))
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sorted(site_packages))}
    plain = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    options = [f"--address={address}", *client_options(certs)]
    with connect(address, certs) as client:
        for _ in range(10):
            client.finish(client.start(["/bin/true"]))
    listing, importing = [], []
    for _ in range(rounds):
        importing.append(_wall_time([sys.executable, "-SPc", "import grpc"], bare))
        listing.append(_wall_time([sys.executable, "-IS", str(cli), *options, "list"], plain))
    value, limit = statistics.median(listing), statistics.median(importing)
    ratio = value / limit
    beside = f"python -c 'import grpc': {milliseconds(limit)}"
    return [Figure("worker-cli list, 10 jobs", milliseconds(value), beside, ratio, f"≤ {_TARGET}", ratio <= _TARGET)]
