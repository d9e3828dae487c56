"""What the service makes of a worker's frames; the worker is a stand-in that gives out what a test wants."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast, final

import pytest

from jobworker.daemon import convert
from jobworker.daemon.allocator import Heap
from jobworker.daemon.call import CURRENT, Call
from jobworker.daemon.errors import AccessDeniedError, ServerStoppingError
from jobworker.daemon.principals import Caller, Role
from jobworker.daemon.service import JobWorkerService
from jobworker.v1 import job_worker_pb2 as pb
from jobworker.worker import (
    Exited,
    Frame,
    Job,
    JobDeletedError,
    LogData,
    LogEnd,
    LogGap,
    WorkerClosedError,
    WorkerError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from collections.abc import Set as AbstractSet

    from jobworker.daemon.limiter import Limiter
    from jobworker.worker import Worker

_AT = datetime(2026, 1, 2, tzinfo=UTC)
_JOB = Job("5a2e0000-0000-4000-8000-000000000000", ("x",), _AT).ended(Exited(0), _AT)


@final
class _Frames:
    """Stands in for a worker whose only job has these frames, then an error."""

    def __init__(self, frames: Sequence[Frame], error: WorkerError | None = None) -> None:
        self._frames = frames
        self._error = error
        self.asked: dict[str, object] = {}
        self.shown_to: AbstractSet[str] | None = frozenset({"nobody yet"})

    async def get(self, job_id: str, *, visible_to: AbstractSet[str] | None) -> Job:
        """Returns the job, whose id may be shortened, and notes to whom."""
        self.shown_to = visible_to
        assert _JOB.id.startswith(job_id)
        return _JOB

    async def read_logs(self, job_id: str, stream: str, **options: object) -> AsyncGenerator[Frame, None]:
        """Yields the frames and notes what was asked for."""
        self.asked = {"job_id": job_id, "stream": stream, **options}
        for frame in self._frames:
            yield frame
        if self._error:
            raise self._error


async def _read(
    worker: _Frames, request: pb.ReadLogsRequest | None = None, caller: Caller | None = None, *, isolated: bool = False
) -> list[bytes]:
    CURRENT.set(Call("/jobworker.v1.JobWorkerService/ReadLogs", caller=caller))
    asked = pb.ReadLogsRequest(job_id=_JOB.id[:8], stream=pb.LOG_STREAM_STDERR)
    asked.MergeFrom(request or pb.ReadLogsRequest())
    service = JobWorkerService(cast("Worker", worker), cast("Limiter", None), Heap(), isolate_owners=isolated)
    return [frame async for frame in service.ReadLogs(asked, None)]


async def test_frames_are_passed_on_one_by_one() -> None:
    """Data, gaps and the end come as they are and in their order; none is left out, joined or added."""
    frames: list[Frame] = [
        LogGap(0, 4096),
        LogData(4096, b"abc"),
        LogData(4099, b"d"),
        LogGap(4100, 8192),
        LogEnd(8192, _JOB),
    ]
    assert await _read(_Frames(frames)) == list(map(convert.log_frame, frames))
    assert CURRENT.get().job_id == _JOB.id


@pytest.mark.parametrize(
    ("request_", "asked"),
    [
        (pb.ReadLogsRequest(), {"offset": 0, "follow": False, "tail_lines": None, "limit": 0}),
        (pb.ReadLogsRequest(tail_lines=0), {"offset": 0, "follow": False, "tail_lines": 0, "limit": 0}),
        (pb.ReadLogsRequest(tail_lines=-1, offset=3), {"offset": 3, "follow": False, "tail_lines": -1, "limit": 0}),
        (pb.ReadLogsRequest(limit=-7, follow=True), {"offset": 0, "follow": True, "tail_lines": None, "limit": -7}),
    ],
)
async def test_what_is_asked_for(request_: pb.ReadLogsRequest, asked: dict[str, object]) -> None:
    """The library gets the request as it is, and so decides what can't be; no tail is not a tail of 0 lines."""
    worker = _Frames([LogEnd(0, _JOB)])
    await _read(worker, request_)
    assert worker.asked == {"job_id": _JOB.id, "stream": "stderr", **asked}


@pytest.mark.parametrize(
    ("frames", "request_", "offset"),
    [
        ([], pb.ReadLogsRequest(), 0),
        ([], pb.ReadLogsRequest(offset=7), 7),
        ([LogData(7, b"abc")], pb.ReadLogsRequest(offset=7), 10),
        ([LogGap(0, 4096)], pb.ReadLogsRequest(), 4096),
        ([LogGap(0, 4096), LogData(4096, b"abc")], pb.ReadLogsRequest(), 4099),
        ([LogData(100, b"abc")], pb.ReadLogsRequest(tail_lines=1), 103),
        ([], pb.ReadLogsRequest(tail_lines=1), None),
    ],
)
async def test_where_to_read_on(frames: Sequence[Frame], request_: pb.ReadLogsRequest, offset: int | None) -> None:
    """A reader whom the shutdown cuts off is told where to go on, unless it has got nothing of a tail yet."""
    with pytest.raises(ServerStoppingError) as caught:
        await _read(_Frames(frames, WorkerClosedError()), request_)
    assert caught.value.offset == offset


async def test_owners_are_isolated_only_if_asked_for() -> None:
    """Then the worker is asked for the jobs of the caller's principal, by all its names, and else for anyone's."""
    caller = Caller("ci", Role.FULL, "f" * 64, ("e" * 64,))
    for isolated, shown_to in ((True, {"ci", "f" * 64, "e" * 64}), (False, None)):
        worker = _Frames([LogEnd(0, _JOB)])
        await _read(worker, caller=caller, isolated=isolated)
        assert worker.shown_to == shown_to


async def test_nobody_is_shown_nothing() -> None:
    """Should the gate ever let a call in without saying whose it is, it is refused, and not shown everyone's jobs."""
    worker = _Frames([LogEnd(0, _JOB)])
    with pytest.raises(AccessDeniedError):
        await _read(worker, isolated=True)
    assert worker.shown_to == {"nobody yet"}


async def test_other_errors_pass() -> None:
    """What else ends a read is told as it is."""
    with pytest.raises(JobDeletedError):
        await _read(_Frames([LogData(0, b"abc")], JobDeletedError(_JOB.id)))
