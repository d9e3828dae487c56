"""The comparison sees what a campaign looks for; else that nothing was lost would say nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobworker.v1 import job_worker_pb2 as pb
from jobworker_chaos import plan
from jobworker_chaos.comparison import StreamCheck, is_lost, outcome_problems, run_problems
from jobworker_chaos.plan import JobPlan
from jobworker_chaos.writer import Ending, Step, Task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_STEPS = (
    Step("stdout", is_binary=False, records=300, size=70, batch=1, pause=0.0),
    Step("stderr", is_binary=False, records=300, size=70, batch=1, pause=0.0),
    Step("stdout", is_binary=True, records=5, size=3000, batch=1, pause=0.0),
)
_JOB = JobPlan(0.0, "", Task(7, 0, _STEPS, Ending(exit_code=3)))
_OTHER = JobPlan(0.0, "", Task(8, 0, _STEPS, Ending(exit_code=3)))
_TRUTH = b"".join(_JOB.output("stdout"))
_AMID = 10_000  # in the lines; the blocks begin at some 30,000


def _problem(came: bytes, *, piece: int = 1000, said: int | None = None, is_whole: bool = True) -> str:
    check = StreamCheck(_JOB, "stdout")
    for start in range(0, len(came), piece):
        check.feed(came[start : start + piece])
    check.end(len(came) if said is None else said, is_whole=is_whole)
    return check.problem


@pytest.mark.parametrize("piece", [1, 7, 1000, len(_TRUTH)])
def test_the_truth_is_right(piece: int) -> None:
    """However it is cut into pieces."""
    assert not _problem(_TRUTH, piece=piece)


@pytest.mark.parametrize("place", [0, 1, _AMID, 35_000, len(_TRUTH) - 1])
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda at: _TRUTH[:at] + _TRUTH[at + 1 :], id="a lost byte"),
        pytest.param(lambda at: _TRUTH[: at + 1] + _TRUTH[at:], id="a doubled byte"),
        pytest.param(lambda at: _TRUTH[:at] + bytes([_TRUTH[at] ^ 1]) + _TRUTH[at + 1 :], id="a flipped bit"),
        pytest.param(lambda at: _TRUTH[:at] + b"\0" + _TRUTH[at:], id="a zero of a hole"),
        pytest.param(lambda at: _TRUTH[:at], id="an end too soon"),
    ],
)
def test_a_single_byte_counts(spoil: Callable[[int], bytes], place: int) -> None:
    """Wherever it is."""
    assert "job 7, stdout: " in _problem(spoil(place))


@pytest.mark.parametrize(
    ("came", "told"),
    [
        (_TRUTH[:_AMID] + _TRUTH[_AMID + 500 :], f"at {_AMID} 500 bytes were lost"),
        (_TRUTH[:_AMID] + _TRUTH[_AMID - 500 :], f"at {_AMID} 500 bytes came again"),
        (_TRUTH[:_AMID] + b"".join(_OTHER.output("stdout"))[_AMID:], "these are none of its own"),
        (_TRUTH[:_AMID] + b"".join(_JOB.output("stderr"))[_AMID:], "these are none of its own"),
        (_TRUTH + b"x", f"at {len(_TRUTH)} nothing was due any more"),
    ],
)
def test_the_kind_of_a_loss_is_told(came: bytes, told: str) -> None:
    """It helps to find the fault."""
    assert told in _problem(came)


def test_the_size_that_the_daemon_says_counts() -> None:
    """It is no other than that of what came."""
    assert "the daemon says there are 5" in _problem(_TRUTH, said=5)


def test_a_beginning_does_for_a_lost_job() -> None:
    """And only a beginning."""
    assert not _problem(_TRUTH[:_AMID], is_whole=False)
    assert "were lost" in _problem(_TRUTH[:_AMID] + _TRUTH[_AMID + 500 :], is_whole=False)


def _ended(**others: object) -> pb.Job:
    job = pb.Job(state=pb.JOB_STATE_FAILED, exit_code=3)
    job.end_time.GetCurrentTime()
    job.termination.killed_processes = 0
    job.MergeFrom(pb.Job(**others))  # type: ignore[arg-type]
    return job


def test_outcomes() -> None:
    """One that is not the plan's is seen, and being lost is one, where no supervisor was killed."""
    lost = _ended(lost=pb.Lost(reason="killed"))
    assert is_lost(lost)
    assert not is_lost(_ended(lost=pb.Lost()))
    assert outcome_problems(_JOB, _ended(), may_be_lost=False) == []
    assert outcome_problems(_JOB, lost, may_be_lost=True) == []
    wrong = [
        lost,
        _ended(exit_code=4),
        _ended(signal=9),
        _ended(state=pb.JOB_STATE_STOPPED),
        _ended(termination=pb.Termination(killed_processes=1)),
        pb.Job(state=pb.JOB_STATE_FAILED, exit_code=3),
    ]
    assert [len(outcome_problems(_JOB, job, may_be_lost=False)) for job in wrong] == [1] * len(wrong)


def test_runs(tmp_path: Path) -> None:
    """Each job ran once; a lost one may not have come to that."""
    runs = tmp_path / "runs"
    runs.write_text("7\n9\n9\n")
    lost = _ended(lost=pb.Lost(reason="killed"))
    assert run_problems(runs, [(_JOB, _ended()), (_OTHER, lost)]) == ["job 9, which is none, ran 2 times"]
    runs.write_text("8\n8\n")
    assert run_problems(runs, [(_JOB, _ended()), (_OTHER, lost)]) == ["job 7: ran 0 times", "job 8: ran 2 times"]


def test_a_seed_makes_the_same_jobs() -> None:
    """So that a campaign can be run again, and others made."""
    assert plan.make(1, 20, 10) == plan.make(1, 20, 10)
    assert plan.make(1, 20, 10) != plan.make(2, 20, 10)
