"""Fuzzes one target, guided by what it covers.

Usage:
  fuzz <target> [--seconds=<n>] [--runs=<n>] [--corpus=<folder>]
  fuzz --list

Options:
  --list             Say which targets there are.
  --seconds=<n>      How long to go on. [default: 60]
  --runs=<n>         How many inputs to try at most; -1 is no limit. [default: -1]
  --corpus=<folder>  Where to keep the inputs that cover something new, for the next time; by default nowhere.

It begins with the seeds in testdata/<target>. An input that breaks a promise is shown, and kept as crash-… in the
working directory; exit code 77. To try one again, put it in testdata/<target>, where the tests take it up too.
"""

from __future__ import annotations

import importlib
import itertools
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import atheris
import docopt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SEEDS = Path(__file__).parent / "testdata"
# A single input may take so long, in seconds, and all of it so much memory, in MiB.
_LONGEST = 10
_MOST_MEMORY = 1024
_LONGEST_INPUT = 4096
# What parses. To instrument all that is imported would take longer than a test's fuzzing does.
_DAEMON = (
    "address amounts audit_chain audit_verifier certificates job_options judgement limit_options options peer"
    " retention revocation role_table toml_places values"
)
_INSTRUMENTED = {
    *(f"jobworker.cli.{module}" for module in ("address", "options", "quantities", "quoting")),
    *(f"jobworker.daemon.{module}" for module in _DAEMON.split()),
    *(f"jobworker.supervisor.{module}" for module in ("connection", "protocol", "records")),
    *(f"jobworker.worker.{module}" for module in ("arguments", "page_tokens", "sqlite_rows")),
    "jobworker_fuzz.broken",
}


def others() -> Iterator[str]:
    """Yields the names of all modules of ours but those."""
    for root, package in itertools.product(map(Path, sys.path), ("jobworker", "jobworker_fuzz")):
        for file in (root / package).rglob("*.py"):
            names = file.relative_to(root).with_suffix("").parts
            name = ".".join(names[:-1] if names[-1] == "__init__" else names)
            if name not in _INSTRUMENTED:
                yield name


def main(arguments: Sequence[str]) -> None:
    """Fuzzes until the time is over, and exits."""
    # It goes by whole packages, so what is not wanted has to be named.
    packages = ["jobworker", "jobworker_fuzz", "tomllib"]
    with atheris.instrument_imports(include=packages, exclude=[*others()], enable_loader_override=False):
        fuzz = importlib.import_module("jobworker_fuzz")
        broken = importlib.import_module("jobworker_fuzz.broken").TARGET
    targets = {**fuzz.TARGETS, broken.name: broken}
    typed = docopt.docopt(__doc__, list(arguments))
    if typed["--list"]:
        print(*fuzz.TARGETS, sep="\n")
        return
    name = str(typed["<target>"])
    if name not in targets:
        raise SystemExit(f"there is no target {name!r}; see fuzz --list")
    # Under `bazel run` the working directory is the runfiles tree; Bazel says here where the user was.
    os.chdir(os.environ.get("BUILD_WORKING_DIRECTORY", "."))
    with tempfile.TemporaryDirectory() as scratch:
        flags = [
            f"-max_total_time={int(typed['--seconds'])}",
            f"-runs={int(typed['--runs'])}",
            f"-timeout={_LONGEST}",
            f"-rss_limit_mb={_MOST_MEMORY}",
            f"-max_len={_LONGEST_INPUT}",
            "-print_final_stats=1",
        ]
        # libFuzzer writes what it finds into the first folder; the seeds are read alone.
        corpus = [typed["--corpus"] or scratch, *(str(seeds) for seeds in [_SEEDS / name] if seeds.is_dir())]
        atheris.Setup([sys.argv[0], *flags, *corpus], targets[name].check)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
