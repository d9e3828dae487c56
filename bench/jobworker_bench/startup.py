"""How long `worker-cli list` takes as a whole process, and the daemon until it is ready, beside importing gRPC."""

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

_CLI = AtMost(1.25)
_DAEMON = AtMost(2, plus=0.1)


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures in turns: an interpreter that imports gRPC, worker-cli, and a daemon without jobs."""
    site_packages = {path for path in sys.path if path.endswith("site-packages")}
    site_packages.add(str(Path(grpc.__file__).parents[1]))
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sorted(site_packages))}
    plain = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    importing, listing, starting = [], [], []
    with world.daemon() as daemon, daemon.connect() as client:
        command = [*world.cli_command, f"--address={daemon.address}", *client_options(daemon.certs), "list"]
        for _ in range(10):
            client.finish(client.start(["/bin/true"]))
        # The first run of a single file unpacks it.
        _run_seconds(command, plain)
        for _ in range(sizes.process_runs):
            importing.append(_run_seconds([sys.executable, "-SPc", "import grpc"], bare))
            listing.append(_run_seconds(command, plain))
            starting.append(ready_seconds(world, world.folder("ready")))
    beside = ("python -c 'import grpc'", tuple(importing))
    yield Figure("cli_list", "startup", "worker-cli list, 10 jobs", Unit.SECONDS, tuple(listing), *beside, _CLI)
    yield Figure("daemon_ready", "startup", "daemon until READY", Unit.SECONDS, tuple(starting), *beside, _DAEMON)


def _run_seconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def ready_seconds(world: World, state_dir: Path, *options: str) -> float:
    """Returns how long a daemon takes from its start until it is ready, in seconds.

    Args:
        world: Gives the daemon.
        state_dir: Its state directory.
        *options: Further options for it.
    """
    began = time.perf_counter()
    with world.daemon(*options, state_dir=state_dir):
        return time.perf_counter() - began
