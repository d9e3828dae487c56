"""Measures jobworker on this machine, each figure beside its limit in the same run, and prints a table.

Usage:
  bench [--quick] [--only=<loads>] [--output=<dir>]
  bench -h | --help

Options:
  -h --help       Show this screen.
  --quick         Smaller sizes: a look whether everything runs; its figures mean little.
  --only=<loads>  Run some loads alone, with commas between them: {loads}.
  --output=<dir>  Write bench.json, table.md and a plot for each load into a folder, which is made if need be.

A whole run, neither quick nor of some loads, goes into docs/performance.md and docs/performance/ of the tree that it
was called from, unless it has another folder. Figures decide nothing: it exits with 0 whatever they are, and with 1 if
a load failed or the command line is wrong.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import docopt

from jobworker_bench import machine
from jobworker_bench.loads import LOADS
from jobworker_bench.plots import svg
from jobworker_bench.report import Run, as_json, cells, replaced, section, table
from jobworker_bench.sizes import FULL, QUICK
from jobworker_bench.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOT = Path(__file__).absolute().parents[1]
_PAGE = "docs/performance.md"


def _chosen(only: str | None) -> list[str]:
    """Returns the names of the loads to run.

    Raises:
        SystemExit: If there is no such load.
    """
    chosen = only.split(",") if only else list(LOADS)
    if unknown := sorted(set(chosen) - set(LOADS)):
        raise SystemExit(f"no such load: {', '.join(unknown)}; there are {', '.join(LOADS)}")
    return [name for name in LOADS if name in chosen]


def _made(folder: Path) -> Path:
    """Makes a folder, before minutes are spent on what goes into it, and returns it.

    Raises:
        SystemExit: If it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"can't make the folder {folder}: {error.strerror}; give another --output") from None
    return folder


def _measure(chosen: Sequence[str], *, quick: bool) -> Run:
    """Runs loads one after the other; one that fails doesn't take the others' figures along."""
    run = Run(machine.about(), quick)
    # All of it goes at the end: where thousands of files were removed, some file systems are slow to make new ones.
    with tempfile.TemporaryDirectory(prefix="jobworker-bench-") as scratch:
        for name in chosen:
            began = time.monotonic()
            folder = Path(scratch, name)
            folder.mkdir()
            try:
                for row in LOADS[name](World(_ROOT, folder), QUICK if quick else FULL):
                    run.rows.append(row)
                    print(*filter(None, cells(row)), sep=" | ", file=sys.stderr)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and decides the exit code
                traceback.print_exc()
                run.errors.append(f"{name}: {error!r}")
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return run


def _write_files(run: Run, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(as_json(run))
    for group in run.groups():
        (folder / f"{group}.svg").write_text(svg(f"Figures of the load {group}", run.figures(group)))


def _write_page(run: Run, tree: Path) -> None:
    page = tree / _PAGE
    text = replaced(page.read_text(), section(run, page.stem))
    _write_files(run, page.with_suffix(""))
    page.write_text(text)


def main() -> None:
    """Runs the benchmark as its usage says.

    Raises:
        SystemExit: If the command line is wrong, or a load failed.
    """
    options = docopt.docopt((__doc__ or "").format(loads=", ".join(LOADS)))
    # Under `bazel run` the working directory is that of the program's own files.
    caller = Path(os.environ.get("BUILD_WORKING_DIRECTORY", ""))
    chosen = _chosen(options["--only"])
    output = options["--output"] and _made(caller / options["--output"])
    run = _measure(chosen, quick=options["--quick"])
    print(table(run.rows))
    if output:
        _write_files(run, output)
        (output / "table.md").write_text(table(run.rows) + "\n")
    if run.errors:
        raise SystemExit("\n".join(run.errors))
    tree = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    if tree and not any(options[part] for part in ("--quick", "--only", "--output")):
        _write_page(run, Path(tree))


if __name__ == "__main__":
    main()
