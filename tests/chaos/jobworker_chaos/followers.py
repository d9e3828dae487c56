"""Followers of one stream each, which resume where they were cut off."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, final

from grpc import aio

from jobworker.v1 import job_worker_pb2 as pb
from jobworker_chaos.calls import is_outage

if TYPE_CHECKING:
    from jobworker_chaos.calls import Stub
    from jobworker_chaos.comparison import StreamCheck

_STREAMS = {"stdout": pb.LOG_STREAM_STDOUT, "stderr": pb.LOG_STREAM_STDERR}


@final
class Follower:
    """Reads one stream of one job to its end.

    Attributes:
        check: What has come, and what is wrong with it.
        resumes: How often it was cut off and went on.
    """

    def __init__(self, stub: Stub, job_id: str, check: StreamCheck) -> None:
        """Prepares a reading.

        Args:
            stub: The connection.
            job_id: The job's id.
            check: The stream, nothing of which has come yet.
        """
        self.check = check
        self.resumes = 0
        self._stub = stub
        self._job_id = job_id
        self._has_ended = False
        self._moved = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Follower {self.check!r} resumes={self.resumes}{' ended' if self._has_ended else ''}>"

    async def follow(self) -> pb.Job:
        """Follows the stream to its end, however often it is cut off, and returns the job as the end's frame has it.

        Raises:
            grpc.aio.AioRpcError: If it ends with another error than an outage.
        """
        try:
            while True:
                try:
                    end = await self._read()
                except aio.AioRpcError as error:
                    if not is_outage(error):
                        raise
                    self.resumes += 1
                else:
                    return end.job
        finally:
            self._has_ended = True
            self._moved.set()

    async def wait_for(self, size: int) -> None:
        """Returns once so many bytes have come, or the stream has ended."""
        while self.check.offset < size and not self._has_ended:
            await self._moved.wait()
            self._moved.clear()

    async def _read(self) -> pb.LogEnd:
        check, end = self.check, None
        request = pb.ReadLogsRequest(
            job_id=self._job_id, stream=_STREAMS[check.stream], offset=check.offset, follow=True
        )
        async for frame in self._stub.ReadLogs(request, wait_for_ready=True):
            if frame.WhichOneof("frame") == "end":
                end = frame.end
            elif frame.WhichOneof("frame") == "data" and frame.data.offset == check.offset and frame.data.data:
                check.feed(frame.data.data)
                self._moved.set()
            else:
                check.problem = check.problem or f"{check!r}: no frame to come here: {str(frame)[:200]}"
        if end is None:
            check.problem = check.problem or f"{check!r}: a read ended well, and did not say so"
            return pb.LogEnd()
        if end.offset != check.offset:
            check.problem = check.problem or f"{check!r}: the read's end is at {end.offset}"
        return end
