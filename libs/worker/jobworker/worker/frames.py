"""What a read of an output log gives out, frame by frame; no I/O and no event loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, final

if TYPE_CHECKING:
    from jobworker.worker.job import Job


@final
@dataclass(frozen=True, slots=True)
class LogData:
    """A piece of the stream.

    Attributes:
        offset: The offset of its first byte, in bytes.
        data: The bytes; never empty.
    """

    offset: int
    data: bytes


@final
@dataclass(frozen=True, slots=True)
class LogGap:
    """A piece of the stream that was released, to keep the log within its limit.

    Attributes:
        start: The offset of the first byte that is gone.
        end: The offset of the first byte after it that was still there; always greater than `start`.
    """

    start: int
    end: int


@final
@dataclass(frozen=True, slots=True)
class LogEnd:
    """The last frame of every read that ends well.

    Attributes:
        offset: Where to read on from, in bytes.
        job: The job as it is at the end of the read.
    """

    offset: int
    job: Job


Frame: TypeAlias = LogData | LogGap | LogEnd
"""One frame of a read; each continues where the one before ended."""
