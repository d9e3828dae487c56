"""Jobs as the API says them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf.duration_pb2 import Duration

from jobworker.daemon import convert
from jobworker.v1 import job_worker_pb2 as pb
from jobworker.worker import (
    Exited,
    Frame,
    InvalidGracePeriodError,
    InvalidStreamError,
    Job,
    JobState,
    LogData,
    LogEnd,
    LogGap,
    Lost,
    Outcome,
    Signaled,
)

_AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
_ENDED = Job("id", ("x",), _AT).ended(Exited(3), _AT)


def test_running_job() -> None:
    """A running job has neither an end nor an outcome."""
    told = convert.job_message(
        Job("id", ("sh", "-c", "x"), _AT, owner="o", principal="ci", stdout_bytes=1, stderr_bytes=2)
    )
    assert told == pb.Job(
        id="id",
        command=["sh", "-c", "x"],
        state=pb.JOB_STATE_RUNNING,
        start_time=told.start_time,
        stdout_bytes=1,
        stderr_bytes=2,
        owner="o",
        principal="ci",
    )
    assert told.start_time.ToDatetime(UTC) == _AT
    assert told.WhichOneof("outcome") is None
    assert not told.HasField("end_time")
    assert not told.HasField("stop_request_time")
    assert not told.HasField("termination")


@pytest.mark.parametrize(
    ("outcome", "state", "field", "value"),
    [
        (Exited(0), pb.JOB_STATE_SUCCEEDED, "exit_code", 0),
        (Exited(255), pb.JOB_STATE_FAILED, "exit_code", 255),
        (Signaled(11), pb.JOB_STATE_FAILED, "signal", 11),
        (Signaled(9, by_stop=True), pb.JOB_STATE_STOPPED, "signal", 9),
        (Exited(143, by_stop=True), pb.JOB_STATE_STOPPED, "exit_code", 143),
        (Lost("the host was restarted"), pb.JOB_STATE_FAILED, "lost", pb.Lost(reason="the host was restarted")),
    ],
)
def test_finished_job(outcome: Outcome, state: pb.JobState.ValueType, field: str, value: object) -> None:
    """A finished job has its outcome, an exit code of 0 too, and both times."""
    end = _AT + timedelta(seconds=1)
    told = convert.job_message(Job("id", ("x",), _AT, outcome=outcome, end_time=end, stop_request_time=_AT))
    assert told.state == state
    assert told.WhichOneof("outcome") == field
    assert getattr(told, field) == value
    assert told.end_time.ToDatetime(UTC) == end
    assert told.stop_request_time.ToDatetime(UTC) == _AT


@pytest.mark.parametrize("killed", [0, 1, 70_000])
def test_termination(killed: int) -> None:
    """Once a job has ended it says how many processes had to be killed, also where there were none."""
    ended = Job("id", ("x",), _AT).ended(Exited(0), _AT, killed_processes=killed)
    told = convert.job_message(ended)
    assert told.HasField("termination")
    assert told.termination.killed_processes == killed


def test_every_state_is_told() -> None:
    """A state that is added to the library needs a name in the API."""
    assert set(convert.STATES) == set(JobState)
    assert pb.JOB_STATE_UNSPECIFIED not in convert.STATES.values()


@pytest.mark.parametrize(
    "at",
    [
        _AT,
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=9))),
    ],
)
def test_timestamp(at: datetime) -> None:
    """Times are exact to the microsecond, before 1970 and in other zones too."""
    assert convert.timestamp(at).ToDatetime(UTC) == at


@pytest.mark.parametrize("size", [1, 127, 128, 16_383, 16_384, 256 * 1024, 3 << 20])
@pytest.mark.parametrize("offset", [0, 1, 127, 128, 2**31, 2**63 - 1])
def test_frames_are_the_protos(offset: int, size: int) -> None:
    """A data frame put together by hand is byte for byte the one that protobuf writes."""
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    message = pb.ReadLogsResponse(data=pb.LogData(offset=offset, data=data))
    assert convert.data_frame(offset, data) == message.SerializeToString()


@pytest.mark.parametrize(
    ("frame", "expected", "end"),
    [
        (LogData(5, b"abc"), pb.ReadLogsResponse(data=pb.LogData(offset=5, data=b"abc")), 8),
        (LogGap(0, 4096), pb.ReadLogsResponse(gap=pb.LogGap(**{"from": 0, "to": 4096})), 4096),
        (LogGap(7, 2**63 - 1), pb.ReadLogsResponse(gap=pb.LogGap(**{"from": 7, "to": 2**63 - 1})), 2**63 - 1),
        (LogEnd(7, _ENDED), pb.ReadLogsResponse(end=pb.LogEnd(offset=7, job=convert.job_message(_ENDED))), 7),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_frame_is_told_as_it_is(frame: Frame, expected: pb.ReadLogsResponse, end: int) -> None:
    """Each frame of the library is one of the API, and what follows it begins where it ends."""
    assert pb.ReadLogsResponse.FromString(convert.log_frame(frame)) == expected
    assert convert.end_of(frame) == end


@pytest.mark.parametrize(
    ("period", "seconds"),
    [
        (Duration(), 0.0),
        (Duration(seconds=3), 3.0),
        (Duration(seconds=1, nanos=500_000_000), 1.5),
        (Duration(nanos=1), 1e-9),
        (Duration(seconds=315_576_000_000, nanos=999_999_999), 315_576_000_000.999_999_999),
    ],
)
def test_grace_period(period: Duration, seconds: float) -> None:
    """A valid duration is its seconds; one that was not set is none."""
    assert convert.grace_seconds(period) == seconds


@pytest.mark.parametrize(
    "period",
    [
        Duration(seconds=-1),
        Duration(nanos=-1),
        Duration(seconds=1, nanos=-1),
        Duration(seconds=-1, nanos=1),
        Duration(nanos=1_000_000_000),
        Duration(seconds=315_576_000_001),
    ],
)
def test_no_grace_period(period: Duration) -> None:
    """A negative one, and what is no valid duration, is refused rather than taken for something else."""
    with pytest.raises(InvalidGracePeriodError):
        convert.grace_seconds(period)


@pytest.mark.parametrize("stream", [pb.LOG_STREAM_UNSPECIFIED, 3, -1])
def test_no_stream(stream: int) -> None:
    """A stream that is unspecified, or of a later version of the API, is refused."""
    with pytest.raises(InvalidStreamError):
        convert.stream_name(stream)


def test_streams() -> None:
    """Both streams have their names."""
    assert convert.stream_name(pb.LOG_STREAM_STDOUT) == "stdout"
    assert convert.stream_name(pb.LOG_STREAM_STDERR) == "stderr"
