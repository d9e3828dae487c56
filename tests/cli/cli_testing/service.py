"""A job worker service that runs nothing and answers as a test's script says."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1 import job_worker_pb2_grpc as rpc

if TYPE_CHECKING:
    from collections.abc import Iterator

    import grpc
    from google.protobuf.message import Message


JOB_ID = "5a2e1f4c-0000-4000-8000-000000000000"


@final
@dataclass(frozen=True, slots=True)
class Abort:
    """A step at which a call fails.

    Attributes:
        code: with which status.
        details: and with which text.
    """

    code: grpc.StatusCode
    details: str


@final
@dataclass(frozen=True, slots=True)
class Hang:
    """A step at which a call waits until it is cancelled or its connection breaks."""


Step = pb.ReadLogsResponse | Abort | Hang


def data(offset: int, content: bytes) -> pb.ReadLogsResponse:
    """Returns a frame with a piece of output."""
    return pb.ReadLogsResponse(data=pb.LogData(offset=offset, data=content))


def gap(start: int, end: int) -> pb.ReadLogsResponse:
    """Returns a frame that stands for released output."""
    return pb.ReadLogsResponse(gap=pb.LogGap(**{"from": start, "to": end}))


def end(offset: int) -> pb.ReadLogsResponse:
    """Returns the frame that ends a read."""
    return pb.ReadLogsResponse(end=pb.LogEnd(offset=offset))


@final
class ScriptedService(rpc.JobWorkerServiceServicer):
    """Answers each call with the next entry of its script.

    Attributes:
        requests: what was asked, in order.
        peers: from which connection each of these came.
        job: the job that unary calls answer with.
        pages: the answers and failures of ListJobs, in order.
        failures: what the next unary calls fail with, in order.
        refusals: what a DeleteJob of an id fails with.
        reads: the scripts of the next ReadLogs calls, in order.
        hanging: set while a call hangs.
        cancelled: set once a hanging call's client is gone.
    """

    def __init__(self) -> None:
        """Has an empty script."""
        self.requests: list[Message] = []
        self.peers: list[str] = []
        self.job = pb.Job(id=JOB_ID)
        self.pages: deque[pb.ListJobsResponse | Abort] = deque()
        self.failures: deque[Abort] = deque()
        self.refusals: dict[str, Abort] = {}
        self.reads: deque[list[Step]] = deque()
        self.hanging = threading.Event()
        self.cancelled = threading.Event()

    def StartJob(self, request: pb.StartJobRequest, context: grpc.ServicerContext) -> pb.StartJobResponse:  # noqa: N802
        """Answers with the job."""
        self._note(request, context)
        return pb.StartJobResponse(job=self.job)

    def StopJob(self, request: pb.StopJobRequest, context: grpc.ServicerContext) -> pb.StopJobResponse:  # noqa: N802
        """Answers with the job."""
        self._note(request, context)
        return pb.StopJobResponse(job=self.job)

    def GetJob(self, request: pb.GetJobRequest, context: grpc.ServicerContext) -> pb.GetJobResponse:  # noqa: N802
        """Answers with the job."""
        self._note(request, context)
        return pb.GetJobResponse(job=self.job)

    def ListJobs(self, request: pb.ListJobsRequest, context: grpc.ServicerContext) -> pb.ListJobsResponse:  # noqa: N802
        """Answers with the next page, or an empty one."""
        self._note(request, context)
        page = self.pages.popleft() if self.pages else pb.ListJobsResponse()
        if isinstance(page, Abort):
            context.abort(page.code, page.details)
        return page

    def DeleteJob(self, request: pb.DeleteJobRequest, context: grpc.ServicerContext) -> pb.DeleteJobResponse:  # noqa: N802
        """Answers with the job, unless the id is one to refuse."""
        self._note(request, context)
        if refusal := self.refusals.get(request.job_id):
            context.abort(refusal.code, refusal.details)
        return pb.DeleteJobResponse(job=self.job)

    def ReadLogs(  # noqa: N802
        self, request: pb.ReadLogsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ReadLogsResponse]:
        """Goes through the next script."""
        self._came(request, context)
        for step in self.reads.popleft():
            match step:
                case Abort():
                    context.abort(step.code, step.details)
                case Hang():
                    self._hang(context)
                case _:
                    yield step

    def _note(self, request: Message, context: grpc.ServicerContext) -> None:
        self._came(request, context)
        if self.failures:
            failure = self.failures.popleft()
            context.abort(failure.code, failure.details)

    def _came(self, request: Message, context: grpc.ServicerContext) -> None:
        self.requests.append(request)
        self.peers.append(context.peer())

    def _hang(self, context: grpc.ServicerContext) -> None:
        gone = threading.Event()
        called_back = context.add_callback(gone.set)  # not if the client is gone already
        self.hanging.set()
        if called_back:
            gone.wait()
        self.cancelled.set()
