"""What a read of a job's output gives, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, final

from jobworker.client.errors import ContractError
from jobworker.v1.job_worker_pb2 import LOG_STREAM_STDERR, LOG_STREAM_STDOUT

if TYPE_CHECKING:
    from jobworker.client.errors import CallError
    from jobworker.v1.job_worker_pb2 import Job, LogStream, ReadLogsResponse

Stream: TypeAlias = "LogStream.ValueType"
STDOUT: Stream = LOG_STREAM_STDOUT
STDERR: Stream = LOG_STREAM_STDERR


@final
@dataclass(frozen=True, slots=True)
class Data:
    """A piece of the stream, exactly as the job wrote it; how a stream is divided has no meaning.

    Attributes:
        start: the offset of its first byte, counted from 0 at the stream's first one.
        content: the bytes.
    """

    start: int
    content: bytes

    @property
    def end(self) -> int:
        """The offset of the first byte after it."""
        return self.start + len(self.content)


@final
@dataclass(frozen=True, slots=True)
class Gap:
    """Stands for bytes that the daemon has released, the oldest first, to keep the stream within its size limit.

    Attributes:
        start: the offset of the first byte that is gone.
        end: the offset of the first byte after it that was still there.
    """

    start: int
    end: int


@final
@dataclass(frozen=True, slots=True)
class End:
    """The last frame of every read that is complete; one that broke has none.

    Attributes:
        end: the offset to read on from; of a follow the stream's final size.
        job: the job as it is at the end of the read.
    """

    end: int
    job: Job

    @property
    def start(self) -> int:
        """The same offset: it holds no bytes."""
        return self.end


@final
@dataclass(frozen=True, slots=True)
class Interruption:
    """Says that a follow broke, and goes on after a pause: what comes then is what was due, nothing lost or repeated.

    Attributes:
        cause: what broke it.
        reached: how far it came, in words.
        first: whether it is the first one since there was progress.
        pause: how many seconds it waits before the next attempt.
    """

    cause: CallError
    reached: str
    first: bool
    pause: float


Frame: TypeAlias = Data | Gap | End


def frame_of(response: ReadLogsResponse) -> Frame:
    """Returns what a message of ReadLogs holds.

    Raises:
        ContractError: nothing that this client knows; the daemon's fault.
    """
    match response.WhichOneof("frame"):
        case "data":
            return Data(response.data.offset, response.data.data)
        case "gap":
            return Gap(getattr(response.gap, "from"), response.gap.to)
        case "end":
            return End(response.end.offset, response.end.job)
    raise ContractError("the service sent a frame that this client does not know")
