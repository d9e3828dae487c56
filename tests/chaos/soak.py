"""Runs a long campaign against the built daemon, and prints its figures; the last line is JSON.

Usage:
  soak [--jobs=<n>] [--kills=<n>] [--seconds=<n>] [--seed=<n>] [--limit=<n>] [--victim=<who>] [--cgroup-root=<path>]
  soak -h | --help

Options:
  -h --help             Show this screen.
  --jobs=<n>            How many jobs to start. [default: 400]
  --kills=<n>           How many times to kill. [default: 50]
  --seconds=<n>         How long the trouble lasts, at least. [default: 150]
  --seed=<n>            What all that is left to chance follows from. (default: another one each time)
  --limit=<n>           How many seconds all of it may take. [default: 570]
  --victim=<who>        Whom to kill: daemon, supervisor or both. Jobs may be lost with their supervisor, and with
                        nobody else. [default: daemon]
  --cgroup-root=<path>  As worker-daemon's. [default: auto]

Exit codes: 0 if nothing was lost, 1 otherwise.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from pathlib import Path

import docopt

from jobworker_chaos import campaign
from jobworker_chaos.campaign import Order, Victim
from jobworker_chaos.world import Setting

_ROOT = Path(__file__).absolute().parents[2]


def main() -> int:
    """Runs a campaign as its usage says, and returns the exit code."""
    options = docopt.docopt(__doc__ or "")
    order = Order(
        seed=secrets.randbelow(1 << 32) if options["--seed"] is None else int(options["--seed"]),
        jobs=int(options["--jobs"]),
        kills=int(options["--kills"]),
        seconds=float(options["--seconds"]),
        limit=float(options["--limit"]),
        victim=Victim(options["--victim"]),
    )
    print(f"seed {order.seed}", flush=True)
    setting = Setting(_ROOT / "services/daemon/worker-daemon", _ROOT / "certs", options["--cgroup-root"])
    figures = asyncio.run(campaign.run(order, setting))
    print(figures.table())
    print(figures.line())
    return 1 if figures.losses else 0


if __name__ == "__main__":
    sys.exit(main())
