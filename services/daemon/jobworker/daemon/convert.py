"""Turns what the library speaks of into messages of the API, and back; no I/O."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from google.protobuf import timestamp_pb2

from jobworker.v1 import job_worker_pb2 as pb
from jobworker.worker import (
    Exited,
    InvalidGracePeriodError,
    InvalidStreamError,
    JobState,
    LogData,
    LogEnd,
    LogGap,
    Lost,
    Signaled,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf import duration_pb2
    from google.protobuf.descriptor import FieldDescriptor

    from jobworker.worker import Frame, Job, StreamName

STATES: Mapping[JobState, pb.JobState.ValueType] = MappingProxyType(
    {
        JobState.RUNNING: pb.JOB_STATE_RUNNING,
        JobState.SUCCEEDED: pb.JOB_STATE_SUCCEEDED,
        JobState.FAILED: pb.JOB_STATE_FAILED,
        JobState.STOPPED: pb.JOB_STATE_STOPPED,
    }
)
"""The API's name of each state."""

_NANOS = 1_000_000_000
# The last second of a valid google.protobuf.Duration: some 10,000 years.
_LONGEST_DURATION = 315_576_000_000
_EPOCH = datetime.fromtimestamp(0, UTC)
_STREAMS: Mapping[int, StreamName] = MappingProxyType({pb.LOG_STREAM_STDOUT: "stdout", pb.LOG_STREAM_STDERR: "stderr"})


def job_message(job: Job) -> pb.Job:
    """Returns a job as the API says it."""
    message = pb.Job(
        id=job.id,
        command=job.command,
        state=STATES[job.state],
        start_time=timestamp(job.start_time),
        end_time=None if job.end_time is None else timestamp(job.end_time),
        stop_request_time=None if job.stop_request_time is None else timestamp(job.stop_request_time),
        stdout_bytes=job.stdout_bytes,
        stderr_bytes=job.stderr_bytes,
        owner=job.owner,
        principal=job.principal,
    )
    match job.outcome:
        case Exited(code=code):
            message.exit_code = code
        case Signaled(signal=number):
            message.signal = number
        case Lost(reason=reason):
            message.lost.reason = reason
    if job.state.is_final:
        # Also where there is nothing to tell: that it is set says that the job's processes are cleared away.
        message.termination.SetInParent()
        message.termination.killed_processes = job.killed_processes
    return message


def timestamp(at: datetime) -> timestamp_pb2.Timestamp:
    """Returns a time as the API says it, to the microsecond."""
    # By hand: Timestamp.FromDatetime takes four times as long, and a job has up to three of them.
    seconds, rest = divmod(at - _EPOCH, timedelta(seconds=1))
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=rest.microseconds * 1000)


def grace_seconds(period: duration_pb2.Duration) -> float:
    """Returns a grace period in seconds; one that was not set is 0.

    Raises:
        InvalidGracePeriodError: If it is negative, or no valid Duration; the caller's fault.
    """
    seconds = period.seconds + period.nanos / _NANOS
    if not (0 <= period.seconds <= _LONGEST_DURATION and 0 <= period.nanos < _NANOS):
        raise InvalidGracePeriodError(seconds)
    return seconds


def stream_name(stream: int) -> StreamName:
    """Returns the library's name of an output stream.

    Raises:
        InvalidStreamError: If it is unspecified or unknown; the caller's fault.
    """
    name = _STREAMS.get(stream)
    if name is None:
        raise InvalidStreamError("unspecified" if stream == pb.LOG_STREAM_UNSPECIFIED else str(stream))
    return name


def log_frame(frame: Frame) -> bytes:
    """Returns one frame of a read, a ReadLogsResponse, as its bytes on the wire."""
    match frame:
        case LogData(offset=offset, data=data):
            return data_frame(offset, data)
        case LogGap(start=start, end=end):
            # By a dictionary, since one of the names is a word of the language.
            return pb.ReadLogsResponse(gap=pb.LogGap(**{"from": start, "to": end})).SerializeToString()
        case LogEnd(offset=offset, job=job):
            return pb.ReadLogsResponse(end=pb.LogEnd(offset=offset, job=job_message(job))).SerializeToString()


def end_of(frame: Frame) -> int:
    """Returns the offset at which the frame after this one begins."""
    match frame:
        case LogData(offset=offset, data=data):
            return offset + len(data)
        case LogGap(end=end):
            return end
        case LogEnd(offset=offset):
            return offset


def data_frame(offset: int, data: bytes) -> bytes:
    """Returns the frame that carries a piece of output, a ReadLogsResponse, as its bytes on the wire.

    Put together by hand: with messages, each piece of 256 KiB goes through memory that is fresh from the kernel
    several times, and a GiB of output takes over two seconds of the processor in place of a twentieth of one.
    """
    body = b"".join((pb.LogData(offset=offset).SerializeToString(), _DATA_TAG, _varint(len(data))))
    return b"".join((_FRAME_TAG, _varint(len(body) + len(data)), body, data))


def _tag(field: FieldDescriptor) -> bytes:
    """Returns what announces a field whose value has a length; those of the API fit one byte."""
    return bytes((field.number << 3 | _WITH_LENGTH,))


def _varint(number: int) -> bytes:
    """Returns a number as protobuf writes lengths: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while number > _SEVEN_BITS:
        encoded.append(number & _SEVEN_BITS | _SEVEN_BITS + 1)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_WITH_LENGTH = 2
_SEVEN_BITS = 0x7F
_FRAME_TAG = _tag(pb.ReadLogsResponse.DESCRIPTOR.fields_by_name["data"])
_DATA_TAG = _tag(pb.LogData.DESCRIPTOR.fields_by_name["data"])
