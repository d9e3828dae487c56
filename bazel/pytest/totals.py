"""Adds up what tests reported: `bazel query 'tests(//...)' | python3 totals.py .bazel/testlogs`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterable


def outcome(case: ET.Element) -> tuple[str, str]:
    """Returns what became of a test case ("passed", "failed" or "skipped") and the first line of the reason."""
    for tag, result in {"error": "failed", "failure": "failed", "skipped": "skipped"}.items():
        if (part := case.find(tag)) is not None:
            return result, part.get("message", "").partition("\n")[0]
    return "passed", ""


def cases(label: str, testlogs: Path) -> list[ET.Element]:
    """Returns the test cases in the reports of a target, one report for each shard."""
    package, _, name = label.lstrip("@/").partition(":")
    reports = sorted((testlogs / package / name).glob("**/test.xml"))
    # What the tests of this repository wrote is trusted.
    return [case for report in reports for case in ET.parse(report).iter("testcase")]  # noqa: S314


def summary(labels: Iterable[str], testlogs: Path) -> tuple[list[str], dict[str, int]]:
    """Returns a line for each test that did not pass, and how many passed, failed and were skipped.

    Args:
        labels: the test targets; one that left no report counts as failed.
        testlogs: the directory of their reports.
    """
    lines = []
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    for label in labels:
        found = [(f"{label} {case.get('name')}", *outcome(case)) for case in cases(label, testlogs)]
        for name, result, reason in found or [(label, "failed", "it did not run")]:
            totals[result] += 1
            if result != "passed":
                lines.append(f"{result}: {name}: {reason}")
    return lines, totals


def main() -> int:
    """Prints the tests that did not pass and, as the last line, the totals.

    Returns:
        The exit code: 0 if nothing failed.
    """
    lines, totals = summary(sys.stdin.read().split(), Path(sys.argv[1]))
    for line in lines:
        print(line)
    skipped = ", {skipped} skipped" if totals["skipped"] else ""
    print(("{passed} passed, {failed} failed" + skipped).format_map(totals))
    return 1 if totals["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
