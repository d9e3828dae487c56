"""Reads output, synchronously."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from typing import TYPE_CHECKING, NamedTuple

from jobworker.client.errors import CallError, translated
from jobworker.client.frames import End, frame_of
from jobworker.client.outage import Outage
from jobworker.client.position import Position
from jobworker.client.resuming import Resuming, connected, no_end_mark

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from jobworker.client.frames import Frame, Interruption, Stream
    from jobworker.v1.job_worker_pb2 import ReadLogsRequest
    from jobworker.v1.job_worker_pb2_grpc import JobWorkerServiceStub

_LOGGER = logging.getLogger(__name__)


class Clock(NamedTuple):
    """Where a follow takes its time from.

    Attributes:
        now: tells the time in seconds, from anywhere.
        wait: lets a number of seconds pass.
    """

    now: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep


def begin(  # noqa: PLR0913 - what a follow can be told
    job_id: str, stream: Stream, offset: int, tail_lines: int | None, patience: float, *, follow: bool
) -> Resuming:
    """Returns a follow of a stream of a job that the daemon has, as `Client.follow` is told."""
    return Resuming(job_id, stream, Position(offset, tail_lines), Outage(patience), follow=follow)


def frames(
    service: JobWorkerServiceStub, request: ReadLogsRequest, timeout: float | None
) -> Generator[Frame, None, None]:
    """Yields the frames of one call.

    Raises:
        CallError: it failed, or broke.
    """
    call = service.ReadLogs(request, timeout=timeout)
    try:
        with translated():
            for response in call:
                frame = frame_of(response)
                if isinstance(frame, End):
                    # To cancel before its status has come would make a failure of it in the daemon's log.
                    call.code()
                    yield frame
                    return
                yield frame
    finally:
        call.cancel()
    raise no_end_mark()


def resumed(
    service: JobWorkerServiceStub, resuming: Resuming, clock: Clock | None, closed: Callable[[], bool]
) -> Generator[Frame | Interruption, None, None]:
    """Yields the frames of as many calls as it takes.

    Args:
        service: the service to read from, which has been reached before.
        resuming: what to read.
        clock: what the pauses go by; by default the system's.
        closed: tells whether the connection was closed on purpose.

    Raises:
        CallError: as `Client.follow` has it.
    """
    clock = clock or Clock()
    while True:
        request, began = resuming.request(), clock.now()
        _LOGGER.debug("reading on: %r", resuming)
        try:
            with contextlib.closing(frames(service, request, None)) as one_call:
                for frame in one_call:
                    resuming.take(frame)
                    yield frame
        except CallError as error:
            if closed():
                raise
            _LOGGER.debug("the call broke off: %s", error.message)
            stood = clock.now() - began if connected(error) else 0.0
            interruption = resuming.broke(error, stood, clock.now(), random.random())  # noqa: S311 - no secret
        else:
            return
        yield interruption
        _LOGGER.debug("next attempt in %.2f s", interruption.pause)
        clock.wait(interruption.pause)
