"""Runs commands as jobs, from Python, with the standard library alone: `async with Worker() as worker`.

A job's processes belong to a supervisor process of the worker's own (`jobworker.supervisor`), its output goes straight
into files, and readers hold an offset. Nothing in this package knows gRPC or the daemon.
"""

from jobworker.worker.bus import Closed, Grew, Lagged, MessageBus, News, StateChanged, Subscription
from jobworker.worker.errors import (
    AmbiguousJobIdError,
    CommandTooLongError,
    InvalidArgumentError,
    InvalidCommandError,
    InvalidJobIdError,
    InvalidOffsetError,
    InvalidPageSizeError,
    InvalidPageTokenError,
    InvalidRequestIdError,
    InvalidStreamError,
    JobNotFoundError,
    OffsetOutOfRangeError,
    ProgramError,
    ProgramFormatError,
    ProgramNotExecutableError,
    ProgramNotFoundError,
    RequestIdReusedError,
    ResourceExhaustedError,
    StateDirectoryError,
    SupervisorError,
    WorkerClosedError,
    WorkerError,
)
from jobworker.worker.job import STREAMS, Exited, Job, JobState, Outcome, Signaled, StreamName
from jobworker.worker.store import JobStore, MemoryJobStore, Page
from jobworker.worker.worker import Worker

__all__ = [
    "STREAMS",
    "AmbiguousJobIdError",
    "Closed",
    "CommandTooLongError",
    "Exited",
    "Grew",
    "InvalidArgumentError",
    "InvalidCommandError",
    "InvalidJobIdError",
    "InvalidOffsetError",
    "InvalidPageSizeError",
    "InvalidPageTokenError",
    "InvalidRequestIdError",
    "InvalidStreamError",
    "Job",
    "JobNotFoundError",
    "JobState",
    "JobStore",
    "Lagged",
    "MemoryJobStore",
    "MessageBus",
    "News",
    "OffsetOutOfRangeError",
    "Outcome",
    "Page",
    "ProgramError",
    "ProgramFormatError",
    "ProgramNotExecutableError",
    "ProgramNotFoundError",
    "RequestIdReusedError",
    "ResourceExhaustedError",
    "Signaled",
    "StateChanged",
    "StateDirectoryError",
    "StreamName",
    "Subscription",
    "SupervisorError",
    "Worker",
    "WorkerClosedError",
    "WorkerError",
]
