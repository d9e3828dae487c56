"""How long `worker-cli list` takes, as a whole process, beside an interpreter that imports gRPC."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from jobworker_bench.figures import AtMost, Figure
from jobworker_bench.units import Unit
from jobworker_testing import client_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import World


def _wall_time(command: Sequence[str], environment: Mapping[str, str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures in turns."""
    site_packages = {path for path in sys.path if path.endswith("site-packages")}
    site_packages.add(str(Path(grpc.__file__).parents[1]))
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sorted(site_packages))}
    plain = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    listing, importing = [], []
    with world.daemon() as daemon, daemon.connect() as client:
        command = [*world.cli_command, f"--address={daemon.address}", *client_options(daemon.certs), "list"]
        for _ in range(10):
            client.finish(client.start(["/bin/true"]))
        for _ in range(sizes.process_runs):
            importing.append(_wall_time([sys.executable, "-SPc", "import grpc"], bare))
            listing.append(_wall_time(command, plain))
    beside = ("python -c 'import grpc'", tuple(importing))
    target = AtMost(1.25)
    yield Figure("cli_list", "startup", "worker-cli list, 10 jobs", Unit.SECONDS, tuple(listing), *beside, target)
