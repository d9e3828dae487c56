"""Does `worker-cli logs`: writes a job's output, byte for byte, also across broken connections."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, final

import grpc

from jobworker.cli import errors
from jobworker.cli.connection import code_of, details_of
from jobworker.cli.outage import PATIENCE, Outage
from jobworker.cli.position import Position
from jobworker.cli.quoting import printable
from jobworker.v1 import job_worker_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobworker.cli.options import Options
    from jobworker.cli.output import Output
    from jobworker.v1.job_worker_pb2_grpc import JobWorkerServiceStub

_LOGGER = logging.getLogger(__name__)
_STREAMS = {"stdout": pb.LOG_STREAM_STDOUT, "stderr": pb.LOG_STREAM_STDERR}
_NO_END_MARK = "it ended the output without its end mark"


class Clock(NamedTuple):
    """Where a reading takes its time from.

    Attributes:
        now: tells the time in seconds, from anywhere.
        wait: lets a number of seconds pass.
    """

    now: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep


_CLOCK = Clock()


def run(service: JobWorkerServiceStub, options: Options, out: Output, err: Output, clock: Clock = _CLOCK) -> None:
    """Writes the output that the options name, from where they say, and follows it unless told not to.

    Args:
        service: the service to read from.
        options: which job and stream, where to begin, and whether to follow.
        out: where the bytes go.
        err: where the user is told of broken connections and of output that is gone.
        clock: what the pauses between calls go by.

    Raises:
        CliError: it could not be read or written to its end.
        grpc.RpcError: the service said no, or was not reached.
    """
    out.die_with_reader()
    # The beginning of an id may fit another job by the time a broken read is resumed; the whole id never does. And from
    # here on it is known that the service can be reached and has the job: what fails later has another cause.
    job = service.GetJob(pb.GetJobRequest(job_id=options.job_id)).job
    LogReader(service, replace(options, job_id=job.id), out, err, clock).run()


@final
class LogReader:
    """One reading of one output stream, over as many calls as it takes.

    Attributes:
        position: where in the stream it is; all before that is written or gone.
    """

    def __init__(
        self,
        service: JobWorkerServiceStub,
        options: Options,
        out: Output,
        err: Output,
        clock: Clock,
    ) -> None:
        """Prepares a reading.

        Args:
            service: the service to read from, which has been reached before.
            options: which stream of a job that the service has, where to begin, and whether to follow.
            out: where the bytes go.
            err: where the user is told of broken connections and of output that is gone.
            clock: what the pauses between calls go by.
        """
        self._service, self._options, self._out, self._err = service, options, out, err
        self._clock = clock
        self._outage = Outage()
        self._broken = ""
        self.position = Position(offset=options.offset, tail_lines=options.tail)

    def __repr__(self) -> str:
        """Shows how far it is."""
        return f"<LogReader {self._options.job_id} {self._options.stream} {self.position.reached()}>"

    def run(self) -> None:
        """Reads to the end, again and again from where a call broke off.

        Raises:
            CliError: the service broke its contract, the connection did not come back, the job was deleted, or the
                output is refused.
            grpc.RpcError: the service said no.
        """
        while not self._read_while_connected():
            self._pause()

    def _read_while_connected(self) -> bool:
        """Makes one call; tells whether it came to the end of the stream, or broke off in a way that can be mended."""
        began = self._clock.now()
        try:
            if self._read():
                return True
            self._broken = _NO_END_MARK
        except grpc.RpcError as error:
            self._check_resumable(error)
            self._broken = details_of(error)
        _LOGGER.debug("the call broke off: %s", self._broken)
        if not self._broken.startswith((errors.NOT_CONNECTED, errors.UNKNOWN_HOST)):
            self._outage.stood(self._clock.now() - began)
        return False

    def _check_resumable(self, error: grpc.RpcError) -> None:
        if code_of(error) == "NOT_FOUND":
            raise errors.RefusedError(
                f"job {self._options.job_id} was deleted, and its output with it; the reading of its "
                f"{self._options.stream} was {self.position.reached()}"
            ) from error
        if code_of(error) not in {"UNAVAILABLE", "CANCELLED"}:
            raise error

    def _read(self) -> bool:
        """Makes one call and tells whether it came to the end of the stream."""
        request = pb.ReadLogsRequest(
            job_id=self._options.job_id,
            stream=_STREAMS[self._options.stream],
            offset=self.position.offset,
            follow=self._options.follow,
            tail_lines=self.position.tail_lines,
        )
        _LOGGER.debug("reading %s of %s %s", self._options.stream, self._options.job_id, self.position.reached())
        for frame in self._service.ReadLogs(request):
            match frame.WhichOneof("frame"):
                case "data":
                    self._write(frame.data)
                case "gap":
                    self._skip(getattr(frame.gap, "from"), frame.gap.to)
                case "end":
                    self.position.take(frame.end.offset, frame.end.offset)
                    return True
        return False

    def _write(self, piece: pb.LogData) -> None:
        self.position.take(piece.offset, piece.offset + len(piece.data))
        self._out.write(piece.data)
        self._outage.over()

    def _skip(self, start: int, end: int) -> None:
        self.position.take(start, end)
        self._err.say(
            f"bytes {start} to {end} of {self._options.stream} are gone: the daemon released them to keep the log "
            "within its limit"
        )
        self._outage.over()

    def _pause(self) -> None:
        first = self._outage.since is None
        pause = self._outage.pause(self._clock.now(), random.random())  # noqa: S311 - no secret
        if pause is None:
            raise errors.UnreachableError(
                f"lost {self._options.address} for {PATIENCE:.0f} s and gave up {self.position.reached()} "
                f"({self._broken}); what came before is written; see whether worker-daemon runs, and "
                f"{self.position.advice()}"
            )
        if first:
            self._err.say(
                printable(
                    f"lost {self._options.address} {self.position.reached()} ({self._broken}); "
                    f"reconnecting for up to {PATIENCE:.0f} s, Ctrl-C ends it"
                )
            )
        _LOGGER.debug("next attempt in %.2f s", pause)
        self._clock.wait(pause)
