"""What status and list show."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from jobworker.cli import table
from jobworker.cli.facts import facts
from jobworker.cli.words import duration, status_word
from jobworker.v1 import job_worker_pb2 as pb

ID = "5a2e1f4c-0000-4000-8000-000000000000"
START = 1_700_000_000  # 2023-11-14 22:13:20 UTC


def ended(**outcome: int) -> pb.Job:
    """Returns a job that ran for 1.5 seconds."""
    job = pb.Job(
        id=ID,
        command=["sh", "-c", "exit 3"],
        state=pb.JOB_STATE_FAILED,
        start_time=Timestamp(seconds=START),
        end_time=Timestamp(seconds=START + 1, nanos=500_000_000),
        stdout_bytes=8192,
        owner="ab" * 32,
        principal="ab" * 32,
    )
    for field, value in outcome.items():
        setattr(job, field, value)
    return job


@pytest.mark.usefixtures("utc")
def test_facts_of_a_job_that_ended_by_itself() -> None:
    """One fact a line, aligned; what does not apply is left out."""
    assert facts(ended(exit_code=3), now=0).splitlines() == [
        f"id:             {ID}",
        "status:         failed",
        "command:        sh -c 'exit 3'",
        "exit code:      3",
        "started:        2023-11-14 22:13:20 +0000",
        "ended:          2023-11-14 22:13:21 +0000",
        "duration:       1.5s",
        "stdout:         8192 bytes",
        "stderr:         0 bytes",
        f"owner:          {'ab' * 32}",
    ]


def test_a_job_says_whose_it_is() -> None:
    """By a name that people know, beside the certificate; what the name says is all printed in one line."""
    job = ended(exit_code=3)
    job.principal = "ci\nrunner"
    *_, principal, owner = facts(job, now=0).splitlines()
    assert principal.startswith("principal:      ci")
    assert owner == f"owner:          {'ab' * 32}"


@pytest.mark.usefixtures("utc")
def test_facts_of_a_stopped_job() -> None:
    """The signal has its name, and the time of the stop request is told."""
    job = ended(signal=9)
    job.state = pb.JOB_STATE_STOPPED
    job.stop_request_time.seconds = START + 1
    lines = facts(job, now=0).splitlines()
    assert "status:         stopped" in lines
    assert "signal:         9 (SIGKILL)" in lines
    assert "stop requested: 2023-11-14 22:13:21 +0000" in lines


def test_facts_of_a_running_job() -> None:
    """Neither an end nor an outcome is made up; the duration is the time so far."""
    job = pb.Job(id=ID, command=["sleep", "9"], state=pb.JOB_STATE_RUNNING, start_time=Timestamp(seconds=START))
    text = facts(job, now=START + 65)
    assert "status:         running\n" in text
    assert "duration:       1m05s\n" in text
    assert "ended:" not in text
    assert "exit code:" not in text


def test_an_unknown_signal_is_a_number() -> None:
    """A signal without a name here is shown by its number."""
    assert "signal:         200\n" in facts(ended(signal=200), now=0)


def test_a_lost_job_says_why() -> None:
    """The reason stands where the exit code would, on one line whatever the service sent."""
    job = ended()
    job.lost.reason = "the host was restarted\nwhile it ran"
    lines = facts(job, now=0).splitlines()
    assert "lost:           the host was restarted while it ran" in lines
    assert not [line for line in lines if line.startswith(("exit code", "signal"))]


@pytest.mark.parametrize(("killed", "text"), [(1, "1 process"), (12, "12 processes")])
def test_processes_that_were_left_are_counted(killed: int, text: str) -> None:
    """What the job left behind and was killed with it is told."""
    job = ended(exit_code=0)
    job.termination.killed_processes = killed
    assert f"\nkilled at end:  {text}\n" in facts(job, now=0)


def test_nothing_left_is_not_told() -> None:
    """A job that left nothing behind looks as it always did."""
    job = ended(exit_code=0)
    job.termination.SetInParent()
    assert "killed" not in facts(job, now=0)


def test_exit_code_zero_is_shown() -> None:
    """Zero is an outcome, not the lack of one."""
    assert "exit code:      0\n" in facts(ended(exit_code=0), now=0)


@pytest.mark.parametrize(
    ("state", "word"),
    [("RUNNING", "running"), ("SUCCEEDED", "succeeded"), ("FAILED", "failed"), ("STOPPED", "stopped")],
)
def test_status_words(state: str, word: str) -> None:
    """The four states in lower case."""
    assert status_word(pb.Job(state=pb.JobState.Value(f"JOB_STATE_{state}"))) == word


def test_every_state_of_the_api_has_a_word() -> None:
    """A state added to the API gets a word of its own here."""
    for number in set(pb.JobState.values()) - {pb.JOB_STATE_UNSPECIFIED}:
        assert "unknown" not in status_word(pb.Job(state=number))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.0s"), (59.99, "59.9s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m"), (86399, "23h59m"),
     (86400, "1d00h"), (-5, "0.0s")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    """Two units at most; a daemon's clock that is ahead gives no negative time."""
    job = pb.Job(start_time=Timestamp(seconds=START))
    assert duration(job, START + seconds) == text


@pytest.mark.usefixtures("utc")
def test_rows_stand_under_their_headings() -> None:
    """Widths are fixed, so that pages can be shown as they come."""
    line = table.row(ended(exit_code=3), now=0, columns=None)
    assert table.HEADER == "ID                                    STATUS     STARTED              DURATION  COMMAND\n"
    assert line == f"{ID}  failed     2023-11-14 22:13:20      1.5s  sh -c 'exit 3'\n"
    assert table.HEADER.index("COMMAND") == line.index("sh -c")


@pytest.mark.parametrize("columns", [90, 100, 20])
def test_commands_are_cut_to_the_terminal(columns: int) -> None:
    """A row fits the terminal, or keeps ten characters of the command where it cannot."""
    job = ended()
    job.command[:] = ["x" * 300]
    line = table.row(job, now=0, columns=columns).rstrip("\n")
    assert len(line) == max(columns, len(table.HEADER) - len("COMMAND\n") + 10)
    assert line.endswith("…")


def test_commands_are_whole_in_a_pipe() -> None:
    """What other programs read is not cut."""
    job = ended()
    job.command[:] = ["x" * 300]
    assert table.row(job, now=0, columns=None).endswith("x" * 300 + "\n")


def test_a_row_is_one_line() -> None:
    """A line break in an argument does not break the table."""
    job = ended()
    job.command[:] = ["a\nb"]
    assert table.row(job, now=0, columns=None).endswith("$'a\\nb'\n")
