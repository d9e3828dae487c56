"""Reads output in an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING

from jobworker.client.errors import CallError, translated
from jobworker.client.frames import End, frame_of
from jobworker.client.resuming import connected, no_end_mark

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from jobworker.client.frames import Frame, Interruption
    from jobworker.client.resuming import Resuming
    from jobworker.v1.job_worker_pb2 import ReadLogsRequest
    from jobworker.v1.job_worker_pb2_grpc import JobWorkerServiceAsyncStub


async def frames(
    service: JobWorkerServiceAsyncStub,
    request: ReadLogsRequest,
    timeout: float | None,  # noqa: ASYNC109 - gRPC's, which the daemon is told of
) -> AsyncGenerator[Frame, None]:
    """Yields the frames of one call.

    Raises:
        CallError: it failed, or broke.
    """
    call = service.ReadLogs(request, timeout=timeout)
    try:
        with translated():
            async for response in call:
                frame = frame_of(response)
                if isinstance(frame, End):
                    # To cancel before its status has come would make a failure of it in the daemon's log.
                    await call.code()
                    yield frame
                    return
                yield frame
    finally:
        call.cancel()
    raise no_end_mark()


async def resumed(
    service: JobWorkerServiceAsyncStub, resuming: Resuming, closed: Callable[[], bool]
) -> AsyncGenerator[Frame | Interruption, None]:
    """Yields the frames of as many calls as it takes.

    Args:
        service: the service to read from, which has been reached before.
        resuming: what to read.
        closed: tells whether the connection was closed on purpose.

    Raises:
        CallError: as `AsyncClient.follow` has it.
    """
    while True:
        began = time.monotonic()
        try:
            async with contextlib.aclosing(frames(service, resuming.request(), None)) as one_call:
                async for frame in one_call:
                    resuming.take(frame)
                    yield frame
        except CallError as error:
            if closed():
                raise
            now = time.monotonic()
            stood = now - began if connected(error) else 0.0
            interruption = resuming.broke(error, stood, now, random.random())  # noqa: S311 - no secret
        else:
            return
        yield interruption
        await asyncio.sleep(interruption.pause)
