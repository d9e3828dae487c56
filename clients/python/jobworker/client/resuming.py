"""Decides how a follow goes on across broken calls; makes no calls, reads no clock and waits for nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, final

from grpc import StatusCode

from jobworker.client.errors import CallError, GaveUpError, JobDeletedError
from jobworker.client.frames import Interruption
from jobworker.client.unreached import NOT_CONNECTED, UNKNOWN_HOST
from jobworker.v1.job_worker_pb2 import ReadLogsRequest

if TYPE_CHECKING:
    from jobworker.client.frames import Frame, Stream
    from jobworker.client.outage import Outage
    from jobworker.client.position import Position

# CANCELLED, which the service never says, is what gRPC makes of calls that have come, and are not begun, when their
# server is told to stop.
_BREAKS = {StatusCode.UNAVAILABLE, StatusCode.CANCELLED}


def no_end_mark() -> CallError:
    """Returns the error of a read that ended OK and without its end frame."""
    return CallError(StatusCode.UNAVAILABLE, "it ended the output without its end mark")


def connected(error: CallError) -> bool:
    """Tells whether the call that failed so had reached the daemon."""
    return not error.message.startswith((NOT_CONNECTED, UNKNOWN_HOST))


@final
class Resuming:
    """One follow of one output stream, over as many calls as it takes."""

    def __init__(self, job_id: str, stream: Stream, position: Position, outage: Outage, *, follow: bool) -> None:
        """Prepares a follow.

        Args:
            job_id: the whole id of a job that the daemon has.
            stream: which of its streams.
            position: where to begin.
            outage: how long to be patient.
            follow: whether to wait for output that is still to come.
        """
        self._request = ReadLogsRequest(job_id=job_id, stream=stream, follow=follow)
        self._position, self._outage = position, outage

    def __repr__(self) -> str:
        """Shows how far it is."""
        return f"<Resuming {self._request.job_id} {self._position.reached()}>"

    def request(self) -> ReadLogsRequest:
        """Returns what to ask for next."""
        request = ReadLogsRequest(offset=self._position.offset, tail_lines=self._position.tail_lines)
        request.MergeFrom(self._request)
        return request

    def take(self, frame: Frame) -> None:
        """Takes note of a frame.

        Raises:
            ContractError: it is not the one that is due; the daemon's fault.
        """
        self._position.take(frame.start, frame.end)
        self._outage.over()

    def broke(self, error: CallError, stood: float, now: float, chance: float) -> Interruption:
        """Decides what to do once a call has broken.

        Args:
            error: what broke it.
            stood: for how many seconds it was connected.
            now: the time, in seconds from anywhere.
            chance: a random number from 0 to 1.

        Raises:
            JobDeletedError: there is nothing more to read.
            GaveUpError: the patience is over.
            CallError: the given one, since another call would fail alike.
        """
        if error.code is StatusCode.NOT_FOUND:
            raise JobDeletedError(error, self._request.job_id, replace(self._position)) from error
        if error.code not in _BREAKS:
            raise error
        self._outage.stood(stood)
        first = self._outage.since is None
        pause = self._outage.pause(now, chance)
        if pause is None:
            raise GaveUpError(self._outage.patience, error, replace(self._position)) from error
        return Interruption(error, self._position.reached(), first, pause)
