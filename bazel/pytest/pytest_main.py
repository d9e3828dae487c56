"""Runs pytest as Bazel's test protocol asks: filters, shards, the XML report, --test_runner_fail_fast."""

import faulthandler
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest


class Shard:
    """Keeps every n-th test."""

    def __init__(self, index: int, count: int) -> None:
        """Keeps the tests whose number leaves index when divided by count."""
        self.index = index
        self.count = count

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Takes the other shards' tests out of items."""
        others = [item for i, item in enumerate(items) if i % self.count != self.index]
        items[:] = items[self.index :: self.count]
        config.hook.pytest_deselected(items=others)


def run(scratch: Path) -> int:
    """Runs the tests that the arguments name and returns pytest's exit code.

    Args:
        scratch: an empty directory, for all temporary files.
    """
    env = os.environ
    args = ["-c", "pyproject.toml", "--rootdir=.", "--import-mode=importlib", "-p", "no:cacheprovider"]
    args.append(f"--basetemp={scratch}/pytest")
    plugins: list[object] = []
    may_be_empty = False

    if "XML_OUTPUT_FILE" in env:
        args.append(f"--junitxml={env['XML_OUTPUT_FILE']}")
    if env.get("TESTBRIDGE_TEST_RUNNER_FAIL_FAST") == "1":
        args.append("--exitfirst")
    if only := env.get("TESTBRIDGE_TEST_ONLY"):
        args += ["-k", only]
        may_be_empty = True
    if shards := int(env.get("TEST_TOTAL_SHARDS", "0")):
        Path(env["TEST_SHARD_STATUS_FILE"]).touch()
        plugins.append(Shard(int(env["TEST_SHARD_INDEX"]), shards))
        may_be_empty = True

    status = pytest.main(args + sys.argv[1:], plugins)
    if status == pytest.ExitCode.NO_TESTS_COLLECTED and may_be_empty:
        return 0
    return status


def main() -> int:
    """Runs pytest in a scratch directory of its own and returns its exit code."""
    # Bazel ends a test that takes too long by SIGTERM: show where it was, in the log, which pytest hides from tests.
    log = os.dup(sys.stderr.fileno())
    faulthandler.register(signal.SIGTERM, file=log, all_threads=True, chain=True)
    # Not TEST_TMPDIR: its path is longer than the address of a Unix socket may be.
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp", ignore_cleanup_errors=True) as scratch:
        # What the tests start puts its files there too.
        os.environ["HOME"] = os.environ["TMPDIR"] = tempfile.tempdir = scratch
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = f"{scratch}/hypothesis"
        return run(Path(scratch))


if __name__ == "__main__":
    sys.exit(main())
