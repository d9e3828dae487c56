"""Jobs as the API says them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from jobworker.daemon import convert
from jobworker.v1 import job_worker_pb2 as pb
from jobworker.worker import Exited, InvalidStreamError, Job, JobState, Outcome, Signaled

_AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def test_running_job() -> None:
    """A running job has neither an end nor an outcome."""
    told = convert.job_message(Job("id", ("sh", "-c", "x"), _AT, owner="o", stdout_bytes=1, stderr_bytes=2))
    assert told == pb.Job(
        id="id",
        command=["sh", "-c", "x"],
        state=pb.JOB_STATE_RUNNING,
        start_time=told.start_time,
        stdout_bytes=1,
        stderr_bytes=2,
        owner="o",
    )
    assert told.start_time.ToDatetime(UTC) == _AT
    assert told.WhichOneof("outcome") is None
    assert not told.HasField("end_time")
    assert not told.HasField("stop_request_time")


@pytest.mark.parametrize(
    ("outcome", "state", "field", "value"),
    [
        (Exited(0), pb.JOB_STATE_SUCCEEDED, "exit_code", 0),
        (Exited(255), pb.JOB_STATE_FAILED, "exit_code", 255),
        (Signaled(11), pb.JOB_STATE_FAILED, "signal", 11),
        (Signaled(9, by_stop=True), pb.JOB_STATE_STOPPED, "signal", 9),
    ],
)
def test_finished_job(outcome: Outcome, state: pb.JobState.ValueType, field: str, value: int) -> None:
    """A finished job has its outcome, an exit code of 0 too, and both times."""
    end = _AT + timedelta(seconds=1)
    told = convert.job_message(Job("id", ("x",), _AT, outcome=outcome, end_time=end, stop_request_time=_AT))
    assert told.state == state
    assert told.WhichOneof("outcome") == field
    assert getattr(told, field) == value
    assert told.end_time.ToDatetime(UTC) == end
    assert told.stop_request_time.ToDatetime(UTC) == _AT


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


def test_end_frame() -> None:
    """The end frame carries offset and job."""
    job = Job("id", ("x",), _AT, outcome=Exited(3), end_time=_AT)
    frame = pb.ReadLogsResponse.FromString(convert.end_frame(7, job))
    assert frame == pb.ReadLogsResponse(end=pb.LogEnd(offset=7, job=convert.job_message(job)))


@pytest.mark.parametrize("stream", [pb.LOG_STREAM_UNSPECIFIED, 3, -1])
def test_no_stream(stream: int) -> None:
    """A stream that is unspecified, or of a later version of the API, is refused."""
    with pytest.raises(InvalidStreamError):
        convert.stream_name(stream)


def test_streams() -> None:
    """Both streams have their names."""
    assert convert.stream_name(pb.LOG_STREAM_STDOUT) == "stdout"
    assert convert.stream_name(pb.LOG_STREAM_STDERR) == "stderr"
