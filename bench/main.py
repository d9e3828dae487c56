"""Measures jobworker on this machine and prints a table.

Usage:
  bench [--quick]
  bench -h | --help

Options:
  -h --help  Show this screen.
  --quick    Smaller sizes: a look whether everything runs; its figures mean little.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import docopt

from jobworker.worker.state_dir import StateDirectory
from jobworker_bench import finished, follow, followers, jobs, memory, startup
from jobworker_bench.figures import Figure, table
from jobworker_testing import credentials, daemon_options, logging_daemon, supervisor_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_ROOT = Path(__file__).absolute().parents[1]
_CERTS = _ROOT / "certs"
_NO_LIMITS = ("--start-rate=0", "--max-calls-per-connection=0")


def _daemon(scratch: Path, *options: str) -> AbstractContextManager[tuple[str, int]]:
    scratch.mkdir(mode=0o700, exist_ok=True)
    program = [str(_ROOT / "services/daemon/worker-daemon")]
    # What is measured is how fast it is, not how fast one client may be.
    return logging_daemon(program, *daemon_options(_CERTS), *_NO_LIMITS, *options, state_dir=scratch)


def _measure(scratch: Path, *, quick: bool) -> list[Figure]:
    size = (32 if quick else 1024) << 20
    figures: list[Figure] = []
    with _daemon(scratch / "jobs") as (address, _):
        figures += jobs.measure(address, _CERTS, 80 if quick else 1600)
    with _daemon(scratch / "follow") as (address, _):
        figures += startup.measure(address, _CERTS, _ROOT / "tools/cli/worker-cli.pyz", 3 if quick else 21)
        figures += follow.throughput(address, _CERTS, size, scratch / "follow")
        figures += follow.delay(address, _CERTS, 50 if quick else 500)
    with _daemon(scratch / "memory") as (address, pid):
        supervisor = supervisor_of(scratch / "memory")
        figures += memory.measure(address, _CERTS, (pid, supervisor or pid), size)
    return figures + _measure_many(scratch, quick=quick)


def _measure_many(scratch: Path, *, quick: bool) -> list[Figure]:
    figures: list[Figure] = []
    for count in (1, 200):
        with _daemon(scratch / f"followers-{count}") as (address, pid):
            pipes = scratch / f"pipes-{count}"
            pipes.mkdir()
            figures += asyncio.run(followers.measure(address, credentials(_CERTS), pid, pipes, count))
    count, many = (1000 if quick else 100_000), scratch / "finished"
    many.mkdir(mode=0o700)
    asyncio.run(finished.fill(StateDirectory(many).store, count))
    return figures + finished.measure(lambda: _daemon(many, "--keep-finished=all"), _CERTS, count)


def main() -> None:
    """Runs the benchmark as its usage says."""
    options = docopt.docopt(__doc__ or "")
    with tempfile.TemporaryDirectory(prefix="jobworker-bench-") as scratch:
        print(table(_measure(Path(scratch), quick=options["--quick"])))


if __name__ == "__main__":
    main()
