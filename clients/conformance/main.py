"""Runs all scenarios through the clients of all languages, against real daemons, and prints a table.

Usage:
  conformance [--language=<name>]... [--scenario=<name>]... [--all]
  conformance -h | --help

Options:
  -h --help          Show this screen.
  --language=<name>  Only this language: python, go, typescript, java or rust. Can be given several times.
  --scenario=<name>  Only this scenario. Can be given several times.
  --all              Fail if a language was not run since its toolchain is missing.

Exit codes: 0 if whatever was run passed, 1 otherwise.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import uuid
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import docopt

from jobworker_conformance import world
from jobworker_conformance.cutter import cutting
from jobworker_conformance.languages import LANGUAGES, NO_TOOLCHAIN, DriverError, build, drive
from jobworker_conformance.matching import mismatches
from jobworker_conformance.scenarios import Scenario, parse_scenarios

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobworker_conformance.world import World

_HERE = Path(__file__).absolute().parent
_PROGRAM = _HERE.parents[1] / "services/daemon/worker-daemon"
_PASSED, _FAILED, _NOT_RUN = "passed", "FAILED", "not run"


def main() -> int:
    """Runs the conformance suite as its usage says, and returns the exit code."""
    options = docopt.docopt(__doc__ or "")
    scenarios = parse_scenarios((_HERE / "scenarios.yaml").read_text(encoding="utf-8"))
    chosen = [one for one in scenarios if not options["--scenario"] or one.name in options["--scenario"]]
    languages = [name for name in LANGUAGES if not options["--language"] or name in options["--language"]]
    if not chosen or not languages:
        print("conformance: no such scenario or language; see --help", file=sys.stderr)
        return 1
    # Where the sources are, which each language's own tools build in place.
    clients = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", _HERE.parents[1])) / "clients"
    table = {name: _verdict_of_build(clients / name) for name in languages}
    with (
        tempfile.TemporaryDirectory(prefix="jobworker-conformance-") as folder,
        world.running(Path(os.environ.get("WORKER_DAEMON", _PROGRAM)), Path(folder)) as made,
    ):
        columns = {
            name: [verdict] * len(chosen) if verdict else asyncio.run(_run_all(clients / name, chosen, made))
            for name, verdict in table.items()
        }
    return _report(chosen, columns, must_run_all=options["--all"])


def _verdict_of_build(folder: Path) -> str:
    """Builds a language's client; returns the verdict on all scenarios if it can't be run, else nothing."""
    if not (folder / "build").exists():
        return _NOT_RUN
    print(f"building clients/{folder.name}", file=sys.stderr, flush=True)
    built = build(folder)
    if built.code not in (0, NO_TOOLCHAIN):
        print(f"{folder.name}: the build exited with {built.code}: {built.said}", file=sys.stderr, flush=True)
    return {0: "", NO_TOOLCHAIN: _NOT_RUN}.get(built.code, _FAILED)


async def _run_all(folder: Path, scenarios: Sequence[Scenario], made: World) -> list[str]:
    column = []
    for scenario in scenarios:
        problems = await _run(folder, scenario, made)
        for problem in problems:
            print(f"{folder.name}, {scenario.name}: {problem}", file=sys.stderr, flush=True)
        column.append(_FAILED if problems else _PASSED)
    return column


async def _run(folder: Path, scenario: Scenario, made: World) -> list[str]:
    async with AsyncExitStack() as stack:
        address = made.addresses[scenario.daemon]
        if scenario.cut:
            address = await stack.enter_async_context(cutting(address, scenario.cut))
        unique = uuid.uuid4().hex[:12]
        steps = [_filled_in(step, made, unique) for step in scenario.steps]
        try:
            results = await drive(folder, {"address": address, **made.files(scenario.identity), "steps": steps})
        except DriverError as error:
            return [str(error)]
        return mismatches(results, scenario.expect, made.known)


def _filled_in(step: object, made: World, unique: str) -> object:
    if isinstance(step, dict):
        return {key: _filled_in(value, made, unique) for key, value in step.items()}
    if isinstance(step, str):
        return made.known.get(step, step).replace("<unique>", unique)
    return step


def _report(scenarios: Sequence[Scenario], columns: dict[str, list[str]], *, must_run_all: bool) -> int:
    width = max(len(one.name) for one in scenarios)
    print(" ".join([" " * width, *(f"{name:>10}" for name in columns)]))
    for number, scenario in enumerate(scenarios):
        print(" ".join([f"{scenario.name:<{width}}", *(f"{column[number]:>10}" for column in columns.values())]))
    cells = [cell for column in columns.values() for cell in column]
    passed, failed, not_run = (cells.count(kind) for kind in (_PASSED, _FAILED, _NOT_RUN))
    print(f"conformance: {passed} passed, {failed} failed, {not_run} not run")
    return 1 if failed or not passed or (must_run_all and not_run) else 0


if __name__ == "__main__":
    sys.exit(main())
