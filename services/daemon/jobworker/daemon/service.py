"""The methods of JobWorkerService: each asks the worker and converts; errors are told by the gate."""

# ruff: noqa: N802, ARG002 - the methods' names and parameters are the proto's

from __future__ import annotations

import logging
import shlex
from contextlib import aclosing
from typing import TYPE_CHECKING, final

from jobworker.daemon import convert
from jobworker.daemon.call import CURRENT, admitted
from jobworker.daemon.errors import ServerStoppingError
from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1 import job_worker_pb2_grpc as rpc
from jobworker.worker import WorkerClosedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from jobworker.daemon.allocator import Heap
    from jobworker.daemon.limiter import Limiter
    from jobworker.worker import Job, Worker

_logger = logging.getLogger(__name__)

# Of a command, in the debug log.
_MAX_COMMAND = 4096
# Clients take messages of up to 4 MiB unless told otherwise.
_MAX_PAGE_BYTES = 4 * 1024 * 1024


@final
class JobWorkerService(rpc.JobWorkerServiceServicer):
    """Serves a worker's jobs; it has no state of its own."""

    def __init__(self, worker: Worker, limiter: Limiter, heap: Heap, *, isolate_owners: bool = False) -> None:
        """Serves nothing yet.

        Args:
            worker: Whose jobs to serve.
            limiter: What knows how many jobs there may be, and how long commands.
            heap: What gives back the memory that output was in.
            isolate_owners: Whether each caller is shown the jobs of its own principal alone.
        """
        self._worker = worker
        self._limiter = limiter
        self._heap = heap
        self._isolate_owners = isolate_owners

    def __repr__(self) -> str:
        return f"<JobWorkerService worker={self._worker!r}>"

    async def StartJob(self, request: pb.StartJobRequest, context: object) -> pb.StartJobResponse:
        """Starts a job that belongs to the caller."""
        if _logger.isEnabledFor(logging.DEBUG):
            _logger.debug("start", extra={"fields": {"command": shlex.join(request.command)[:_MAX_COMMAND]}})
        self._limiter.check_command(request.command)
        by = admitted()
        job = await self._worker.start(
            request.command,
            owner=by.fingerprint,
            principal=by.principal,
            aliases=by.names - {by.principal},
            request_id=request.request_id or None,
            admit=lambda under_way: self._limiter.admit_start(by.principal, under_way, by.names),
            announce=CURRENT.get().announce,
        )
        return pb.StartJobResponse(job=_told(job))

    async def StopJob(self, request: pb.StopJobRequest, context: object) -> pb.StopJobResponse:
        """Stops a job and answers once its processes are gone."""
        grace_period = convert.grace_seconds(request.grace_period)
        job_id = await self._announced(request.job_id)
        job = await self._worker.stop(job_id, grace_period=grace_period, visible_to=self._view())
        return pb.StopJobResponse(job=_told(job))

    async def GetJob(self, request: pb.GetJobRequest, context: object) -> pb.GetJobResponse:
        """Answers with a job as it is now."""
        return pb.GetJobResponse(job=_told(await self._worker.get(request.job_id, visible_to=self._view())))

    async def ListJobs(self, request: pb.ListJobsRequest, context: object) -> pb.ListJobsResponse:
        """Answers with a page of jobs: fewer than asked for if they would make too large a message."""
        size, token, view = request.page_size, request.page_token, self._view()
        while True:
            page = await self._worker.list(page_size=size, page_token=token, visible_to=view)
            response = pb.ListJobsResponse(
                jobs=map(convert.job_message, page.jobs), next_page_token=page.next_page_token
            )
            if response.ByteSize() <= _MAX_PAGE_BYTES or len(page.jobs) == 1:
                return response
            size = len(page.jobs) // 2

    async def ReadLogs(self, request: pb.ReadLogsRequest, context: object) -> AsyncGenerator[bytes, None]:  # type: ignore[override]
        """Streams an output log, then says where it ended and how the job is; frames as their bytes."""
        tail_lines = request.tail_lines if request.HasField("tail_lines") else None
        # Where to read on from; with a tail only the first frame says where that begins.
        offset = request.offset if tail_lines is None else None
        stream = convert.stream_name(request.stream)
        # In full from here on: the beginning of an id may fit further jobs later.
        job_id = (await self._worker.get(request.job_id, visible_to=self._view())).id
        CURRENT.get().job_id = job_id
        reading = self._worker.read_logs(
            job_id, stream, offset=request.offset, follow=request.follow, tail_lines=tail_lines, limit=request.limit
        )
        try:
            async with aclosing(reading) as frames:
                async for frame in frames:
                    message = convert.log_frame(frame)
                    self._heap.sent(len(message))
                    yield message
                    offset = convert.end_of(frame)
                    del frame, message  # they are large, and the next one may be long in coming
        except WorkerClosedError as error:
            raise ServerStoppingError(offset) from error

    async def DeleteJob(self, request: pb.DeleteJobRequest, context: object) -> pb.DeleteJobResponse:
        """Deletes a finished job and its output, and answers with the job as it was."""
        job_id = await self._announced(request.job_id)
        return pb.DeleteJobResponse(job=_told(await self._worker.delete(job_id, visible_to=self._view())))

    async def _announced(self, named: str) -> str:
        """Returns the id of a job that a client names, once the audit log says that the job is about to be changed."""
        job_id = (await self._worker.get(named, visible_to=self._view())).id
        await CURRENT.get().announce(job_id)
        return job_id

    def _view(self) -> frozenset[str] | None:
        """Returns whose jobs the caller is shown; None for everyone's."""
        return admitted().names if self._isolate_owners else None


def _told(job: Job) -> pb.Job:
    """Returns the message that tells of a job, and notes its id for the access log."""
    CURRENT.get().job_id = job.id
    return convert.job_message(job)
