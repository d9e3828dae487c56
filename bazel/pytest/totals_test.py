"""The totals of a test run are the sums over its reports."""

from pathlib import Path

import pytest

from bazel.pytest.totals import summary

REPORT = """<testsuites><testsuite>
<testcase name="good"/>
<testcase name="bad"><failure message="one&#10;two">trace</failure></testcase>
<testcase name="broken"><error message="no fixture"/></testcase>
<testcase name="left_out"><skipped message="not here"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def testlogs(tmp_path: Path) -> Path:
    """A directory as Bazel lays it out: one target with one report, one with two shards."""
    for report in ("tests/a_test", "tests/b_test/shard_1_of_2", "tests/b_test/shard_2_of_2"):
        (tmp_path / report).mkdir(parents=True)
        (tmp_path / report / "test.xml").write_text(REPORT)
    return tmp_path


def test_reports_are_added_up(testlogs: Path) -> None:
    """Errors count as failures, and every shard counts."""
    _, totals = summary(["//tests:a_test", "//tests:b_test"], testlogs)
    assert totals == {"passed": 3, "failed": 6, "skipped": 3}


def test_what_did_not_pass_is_named_with_the_reason(testlogs: Path) -> None:
    """Nothing is skipped silently."""
    lines, _ = summary(["//tests:a_test"], testlogs)
    assert lines == [
        "failed: //tests:a_test bad: one",
        "failed: //tests:a_test broken: no fixture",
        "skipped: //tests:a_test left_out: not here",
    ]


def test_a_target_without_a_report_has_failed(testlogs: Path) -> None:
    """What did not run must not look green."""
    lines, totals = summary(["//tests:gone_test"], testlogs)
    assert lines == ["failed: //tests:gone_test: it did not run"]
    assert totals == {"passed": 0, "failed": 1, "skipped": 0}
