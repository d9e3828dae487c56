"""That the built benchmark runs, and tells of all that it is to measure; how fast anything is decides nothing here."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from jobworker_bench.report import BEGIN, END

PROGRAM = str(Path(os.environ["BENCH"]).absolute())
LOADS = ["jobs", "latency", "streams", "delay", "lines", "stop", "memory", "cpu", "growth", "startup", "peers"]
# What was promised to be measured, as the whole of each key.
KEYS = [
    "jobs_per_second_1",
    "jobs_per_second_8",
    "jobs_per_second_32",
    "empty_calls_per_second_8",
    "empty_calls_per_second_32",
    "start_latency_p50",
    "start_latency_p99",
    "read_finished",
    "follow_written",
    "follow_8_clients",
    "bare_grpc_stream",
    "bare_grpc_8_clients",
    "delay_p50",
    "delay_p99",
    "lines_file",
    "lines_followed",
    "stop_1",
    "stop_200",
    "memory_idle",
    "memory_per_running_job",
    "memory_per_finished_job",
    "memory_per_follower",
    "memory_per_follower_read",
    "memory_output",
    "cpu_per_gib_unfollowed",
    "cpu_idle",
    *(
        rf"growth_{kind}_\d+_{state}"
        for kind in [
            *("jobs", "start", "start_p99", "stop", "stop_200", "page", "read", "follow", "follow_8"),
            *("delay", "delay_p99", "lines", "follower", "unfollowed", "idle"),
        ]
        for state in ("running", "finished")
    ),
    r"growth_running_job_\d+_running",
    r"growth_finished_job_\d+_finished",
    r"growth_ready_\d+_finished",
    "cli_list",
    "daemon_ready",
    "peer_ssh",
    "peer_ssh_multiplexed",
    "peer_supervisord",
    "peer_task_spooler",
    "peer_pueue",
]


def run(*arguments: str, code: int = 0, tree: str = "/dev/null") -> tuple[str, str]:
    """Runs the benchmark, as if called from a tree, and returns its stdout and stderr."""
    environment = {**os.environ, "BUILD_WORKSPACE_DIRECTORY": tree}
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, check=False, text=True, env=environment)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a short run of everything has put what it found."""
    folder = tmp_path_factory.mktemp("bench") / "output"
    table, _ = run("--quick", f"--output={folder}")
    assert (folder / "table.md").read_text() == table
    return folder


@pytest.fixture(scope="module")
def document(output: Path) -> dict[str, Any]:
    """The JSON of that run."""
    document: dict[str, Any] = json.loads((output / "bench.json").read_text())
    return document


def test_no_load_fails(document: dict[str, Any]) -> None:
    """It says so of itself, beside its exit code."""
    assert (document["errors"], document["quick"]) == ([], True)


def test_all_that_was_promised_is_there(document: dict[str, Any]) -> None:
    """A peer that is not installed is told of too, with the reason."""
    keys = [row["key"] for row in document["figures"] + document["not_run"]]
    assert len(keys) == len(set(keys))
    assert [key for key in KEYS if not any(re.fullmatch(key, found) for found in keys)] == []
    assert all(row["why"] for row in document["not_run"])
    assert {row["group"] for row in document["not_run"]} <= {"peers"}


def test_what_is_told_follows_from_the_values(document: dict[str, Any]) -> None:
    """Whoever doubts a ratio can compute it again."""
    for figure in document["figures"]:
        values, limits = figure["values"], figure["limits"]
        assert figure["median"] == pytest.approx(statistics.median(values))
        assert min(values) <= figure["spread"][0] <= figure["spread"][1] <= max(values)
        if limits:
            ratios = [value / limit for value, limit in zip(values, limits, strict=True)]
            assert figure["ratio"] == pytest.approx(statistics.median(ratios))
        else:
            assert figure["ratio"] is None
        assert (figure["target"] is None) == (figure["met"] is None)


def test_each_load_has_its_plot(output: Path, document: dict[str, Any]) -> None:
    """Well-formed, with a bar for each figure."""
    for load in LOADS:
        bars = [bar for bar in ET.parse(output / f"{load}.svg").iter() if bar.get("class") == "value"]  # noqa: S314 - our own
        assert len(bars) == len([row for row in document["figures"] if row["group"] == load])
        assert bars


def test_a_selection_runs_alone(tmp_path: Path) -> None:
    """In the order of all, whatever that of the command line is."""
    run("--quick", "--only=lines,latency", f"--output={tmp_path}")
    figures = json.loads((tmp_path / "bench.json").read_text())["figures"]
    assert list(dict.fromkeys(row["group"] for row in figures)) == ["latency", "lines"]


def test_an_unknown_load_is_refused() -> None:
    """With those that there are, before anything is run."""
    _, said = run("--only=jobs,nonsense", code=1)
    assert said.startswith("no such load: nonsense")
    assert all(load in said for load in LOADS)


def test_a_folder_that_cannot_be_made_is_told_at_once() -> None:
    """Not after all has been measured for it."""
    printed, said = run("--quick", "--only=lines", "--output=/dev/null/figures", code=1)
    assert (printed, said.count("\n")) == ("", 1)
    assert said.startswith("can't make the folder /dev/null/figures: Not a directory; give another")


def test_only_a_whole_run_is_written_into_the_page(tmp_path: Path) -> None:
    """A part, or a short look, must not pass for what was reached."""
    page = tmp_path / "docs/performance.md"
    page.parent.mkdir()
    page.write_text(f"{BEGIN}\n{END}")
    run("--quick", "--only=lines", tree=str(tmp_path))
    assert page.read_text() == f"{BEGIN}\n{END}"
    assert list(page.parent.iterdir()) == [page]
