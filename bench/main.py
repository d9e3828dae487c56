"""Measures jobworker on this machine and prints a table.

Usage:
  bench [--quick]
  bench -h | --help

Options:
  -h --help  Show this screen.
  --quick    Smaller sizes: a look whether everything runs; its figures mean little.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import docopt

from jobworker_bench import follow, jobs, memory, startup
from jobworker_bench.figures import Figure, table
from jobworker_testing import daemon_options, logging_daemon

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_ROOT = Path(__file__).absolute().parents[1]
_CERTS = _ROOT / "certs"


def _daemon(scratch: Path) -> AbstractContextManager[tuple[str, int]]:
    scratch.mkdir()
    return logging_daemon(
        [str(_ROOT / "services/daemon/worker-daemon")],
        *daemon_options(_CERTS, state_dir=str(scratch)),
        log=scratch / "log",
    )


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
        figures += memory.measure(address, _CERTS, pid, size)
    return figures


def main() -> None:
    """Runs the benchmark as its usage says."""
    options = docopt.docopt(__doc__ or "")
    with tempfile.TemporaryDirectory(prefix="jobworker-bench-") as scratch:
        print(table(_measure(Path(scratch), quick=options["--quick"])))


if __name__ == "__main__":
    main()
