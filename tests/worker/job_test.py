"""What a job's states are and what they follow from."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from jobworker.worker import Exited, Job, JobState, Lost, Outcome, Signaled

START = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = START + timedelta(seconds=9)
RUNNING = Job(id="00000000-0000-4000-8000-000000000000", command=("true",), start_time=START)


@pytest.mark.parametrize(
    ("outcome", "state", "exit_code", "signal"),
    [
        (None, JobState.RUNNING, None, None),
        (Exited(0), JobState.SUCCEEDED, 0, None),
        (Exited(1), JobState.FAILED, 1, None),
        (Exited(255), JobState.FAILED, 255, None),
        (Signaled(15), JobState.FAILED, None, 15),
        (Signaled(9), JobState.FAILED, None, 9),
        (Signaled(9, by_stop=True), JobState.STOPPED, None, 9),
        (Signaled(15, by_stop=True), JobState.STOPPED, None, 15),
        (Exited(0, by_stop=True), JobState.STOPPED, 0, None),
        (Exited(7, by_stop=True), JobState.STOPPED, 7, None),
        (Lost("its supervisor was killed"), JobState.FAILED, None, None),
    ],
)
def test_the_state_follows_from_the_outcome(
    outcome: Outcome | None, state: JobState, exit_code: int | None, signal: int | None
) -> None:
    """Each outcome means one state, and shows either an exit code or a signal."""
    job = RUNNING if outcome is None else RUNNING.ended(outcome, LATER)
    assert (job.state, job.exit_code, job.signal) == (state, exit_code, signal)


@pytest.mark.parametrize("state", JobState)
def test_all_states_but_running_are_final(state: JobState) -> None:
    """Only a running job has another state before it."""
    assert state.is_final == (state is not JobState.RUNNING)


@pytest.mark.parametrize(("outcome", "state"), [(Exited(0), JobState.SUCCEEDED), (Exited(3), JobState.FAILED)])
def test_a_job_that_exits_by_itself_is_not_stopped(outcome: Outcome, state: JobState) -> None:
    """A stop request that came just too late is kept as a time, and changes no outcome."""
    job = RUNNING.with_stop_request(LATER).ended(outcome, LATER)
    assert (job.state, job.stop_request_time) == (state, LATER)


def test_the_first_stop_request_counts() -> None:
    """Asking again changes nothing, not even the time."""
    asked = RUNNING.with_stop_request(START)
    assert asked.with_stop_request(LATER) is asked


def test_a_finished_job_takes_no_stop_request() -> None:
    """Stopping what has ended leaves it as it is."""
    job = RUNNING.ended(Exited(0), LATER)
    assert job.with_stop_request(LATER) is job


def test_a_job_ends_once() -> None:
    """The first end stays: a final state is final."""
    job = RUNNING.ended(Exited(0), LATER)
    assert job.ended(Signaled(9), LATER) is job


def test_a_job_never_ends_before_its_start() -> None:
    """A clock that was set back while the job ran gives a life of no length, not a negative one."""
    assert RUNNING.ended(Exited(0), START - timedelta(hours=1)).end_time == START


def test_the_end_time_is_kept() -> None:
    """What the supervisor saw is what the job says."""
    assert RUNNING.ended(Exited(0), LATER).end_time == LATER


def test_the_count_of_killed_processes_is_kept() -> None:
    """It is told with the end, and is 0 unless it is."""
    assert RUNNING.ended(Exited(0), LATER).killed_processes == 0
    assert RUNNING.ended(Lost("why"), LATER, killed_processes=3).killed_processes == 3


def test_sizes_are_told_apart() -> None:
    """Each stream has its own size."""
    job = RUNNING.with_sizes(3, 4)
    assert (job.written("stdout"), job.written("stderr")) == (3, 4)


@pytest.mark.parametrize("value", [RUNNING, Exited(0), Signaled(9), Lost("why")])
def test_jobs_and_outcomes_are_frozen(value: Job | Outcome) -> None:
    """A snapshot never changes under who holds it."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(value)[0].name, None)
