"""Does `worker-cli logs`: writes a job's output, byte for byte, also across broken connections."""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, NamedTuple, final

import grpc

from jobworker.cli import errors
from jobworker.cli.connection import code_of, details_of
from jobworker.cli.outage import PATIENCE, Outage
from jobworker.cli.quoting import printable
from jobworker.v1 import job_worker_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobworker.cli.options import Options
    from jobworker.cli.output import Output
    from jobworker.v1.job_worker_pb2_grpc import JobWorkerServiceStub

_LOGGER = logging.getLogger(__name__)
_STREAMS = {"stdout": pb.LOG_STREAM_STDOUT, "stderr": pb.LOG_STREAM_STDERR}


def run(service: JobWorkerServiceStub, options: Options, out: Output, err: Output) -> None:
    """Writes the output that the options name, from its first byte, and follows it unless told not to.

    Raises:
        CliError: it could not be read or written to its end.
    """
    out.die_with_reader()
    LogReader(service, options, out, err).run()


class Clock(NamedTuple):
    """Where a reading takes its time from.

    Attributes:
        now: tells the time in seconds, from anywhere.
        wait: lets a number of seconds pass.
    """

    now: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep


_CLOCK = Clock()


@final
class LogReader:
    """One reading of one output stream, over as many calls as it takes.

    Attributes:
        offset: how many bytes have been written.
    """

    def __init__(
        self,
        service: JobWorkerServiceStub,
        options: Options,
        out: Output,
        err: Output,
        clock: Clock = _CLOCK,
    ) -> None:
        """Prepares a reading from the first byte.

        Args:
            service: the service to read from.
            options: which job and stream, and whether to follow.
            out: where the bytes go.
            err: where the user is told of broken connections.
            clock: what the pauses between calls go by.
        """
        self._service, self._options, self._out, self._err = service, options, out, err
        self._clock = clock
        self._outage = Outage()
        self._connected = False
        self._broken = ""
        self.offset = 0

    def __repr__(self) -> str:
        """Shows how far it is."""
        return f"<LogReader {self._options.job_id} {self._options.stream} at {self.offset}>"

    def run(self) -> None:
        """Reads to the end, again and again from where a call broke off.

        Raises:
            CliError: the service broke its contract, the connection did not come back, or the output is refused.
            grpc.RpcError: the service said no, or was never reached.
        """
        while not self._read_while_connected():
            self._pause()

    def _read_while_connected(self) -> bool:
        """Makes one call; tells whether it came to the end of the stream, or broke off in a way that can be mended."""
        try:
            self._broken = "it ended the output without its end mark"
            return self._read()
        except grpc.RpcError as error:
            if not self._worth_resuming(error):
                raise
            _LOGGER.debug("the call broke off: %s", details_of(error))
            self._broken = details_of(error)
            return False

    def _read(self) -> bool:
        """Makes one call and tells whether it came to the end of the stream."""
        request = pb.ReadLogsRequest(
            job_id=self._options.job_id,
            stream=_STREAMS[self._options.stream],
            offset=self.offset,
            follow=self._options.follow,
        )
        _LOGGER.debug("reading %s of %s from byte %d", self._options.stream, self._options.job_id, self.offset)
        for frame in self._service.ReadLogs(request):
            self._connected = True
            match frame.WhichOneof("frame"):
                case "data":
                    self._write(frame.data)
                case "end":
                    self._expect(frame.end.offset)
                    return True
        return False

    def _write(self, piece: pb.LogData) -> None:
        self._expect(piece.offset)
        self._out.write(piece.data)
        self.offset += len(piece.data)
        self._outage.over()

    def _expect(self, offset: int) -> None:
        if offset != self.offset:
            raise errors.RefusedError(
                f"the service sent output from byte {offset} on where byte {self.offset} was due; please report this"
            )

    def _worth_resuming(self, error: grpc.RpcError) -> bool:
        if code_of(error) != "UNAVAILABLE":
            return False
        return self._connected or not details_of(error).startswith(errors.NOT_CONNECTED)

    def _pause(self) -> None:
        first = self._outage.since is None
        pause = self._outage.pause(self._clock.now(), random.random())  # noqa: S311 - no secret
        if pause is None:
            raise errors.UnreachableError(
                f"lost {self._options.address} for {PATIENCE:.0f} s and gave up ({self._broken}); all output before "
                f"byte {self.offset} is written; see whether worker-daemon runs, and read again"
            )
        if first:
            self._err.say(
                printable(
                    f"lost {self._options.address} at byte {self.offset} ({self._broken}); "
                    f"reconnecting for up to {PATIENCE:.0f} s, Ctrl-C ends it"
                )
            )
        _LOGGER.debug("next attempt in %.2f s", pause)
        self._clock.wait(pause)
