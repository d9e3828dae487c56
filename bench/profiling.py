"""Shows where daemon and supervisor spend their time under a load: tables of threads and calls, and flame graphs.

Usage:
  profile [--seconds=<count>] [--most=<count>] [--output=<dir>] [<load>...]
  profile -h | --help

The loads are {loads}; without one, each is run.

Options:
  -h --help          Show this screen.
  --seconds=<count>  How long to look at each load [default: 10].
  --most=<count>     How many functions a table has [default: 25].
  --output=<dir>     Write the tables and a flame graph for each load and process into a folder, made if need be.

It takes root, or the permission to trace other processes. While it looks, what it looks at is slower.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import docopt

from jobworker_bench.busy import LOADS
from jobworker_bench.folded import call_table, flame_graph
from jobworker_bench.spying import watch
from jobworker_bench.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker_bench.spying import Seen

_ROOT = Path(__file__).absolute().parents[1]


def _profile(load: str, seconds: int) -> dict[str, Seen]:
    with tempfile.TemporaryDirectory(prefix="jobworker-profile-") as scratch:
        world = World(_ROOT, Path(scratch))
        with world.daemon("--max-jobs=0", "--max-jobs-per-principal=0") as daemon, LOADS[load](world, daemon):
            pids = {"daemon": daemon.pid, "supervisor": daemon.supervisor}
            return watch(pids, seconds, world.folder("stacks"))


def _told(load: str, process: str, seen: Seen, seconds: int, most: int) -> Iterator[str]:
    yield f"## {load}: {process}"
    threads = [f"| {name} | {spent:.2f} s |" for name, spent in seen.threads.items()]
    yield "\n".join([f"| threads | processor time of {seconds} s |", "|---|---:|", *threads])
    if seen.stacks:
        yield call_table(seen.stacks, most)
    else:
        yield "No Python thread was seen at work."


def _number(text: str) -> int:
    """Returns an option's number.

    Raises:
        SystemExit: If it is none, or not above 0.
    """
    if not text.isdecimal() or not int(text):
        print(f"not a number above 0: {text!r}", file=sys.stderr)
        raise SystemExit(2)
    return int(text)


def main() -> None:
    """Runs the profiles as the usage says.

    Raises:
        SystemExit: If the command line is wrong.
    """
    options = docopt.docopt((__doc__ or "").format(loads=", ".join(LOADS)))
    seconds, most = _number(options["--seconds"]), _number(options["--most"])
    if unknown := sorted(set(options["<load>"]) - set(LOADS)):
        print(f"no such load: {', '.join(unknown)}; there are {', '.join(LOADS)}", file=sys.stderr)
        raise SystemExit(2)
    # Under `bazel run` the working directory is that of the program's own files.
    folder = options["--output"] and Path(os.environ.get("BUILD_WORKING_DIRECTORY", ""), options["--output"])
    for load in options["<load>"] or LOADS:
        for process, seen in _profile(load, seconds).items():
            text = "\n\n".join(_told(load, process, seen, seconds, most)) + "\n"
            print(text, flush=True)
            if folder:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{load}-{process}.md").write_text(text)
                (folder / f"{load}-{process}.svg").write_text(flame_graph(seen.stacks, f"{load}: {process}"))


if __name__ == "__main__":
    main()
