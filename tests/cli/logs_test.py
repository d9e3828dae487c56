"""logs against a service behind real mutual TLS: exact bytes, also across broken connections."""

from __future__ import annotations

import itertools
import os
import random
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import pytest

from cli_testing import Abort, Hang, Result, data, end, run
from jobworker.cli import errors
from jobworker.cli.connection import connect
from jobworker.cli.logs import Clock, LogReader
from jobworker.cli.options import parse
from jobworker.cli.outage import PATIENCE
from jobworker.cli.output import Output
from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1.job_worker_pb2_grpc import JobWorkerServiceStub

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli_testing import Host, ScriptedService

AWAY = Abort(grpc.StatusCode.UNAVAILABLE, "the server is going away")


def read_with(client: list[str], clock: Clock) -> Result:
    """Follows a job's stdout with a clock of the test's own."""
    options = parse([*client, "logs", "stdout", "5a2e"], "")
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        reader = None
        try:
            with connect(options) as channel:
                service = JobWorkerServiceStub(channel)
                reader = LogReader(service, options, Output(out.fileno()), Output(err.fileno()), clock)
                reader.run()
            code, message = 0, ""
        except errors.CliError as error:
            code, message = error.exit_code, str(error)
        size = os.fstat(out.fileno()).st_size
        assert reader is not None
        assert reader.offset == size
        said = os.pread(err.fileno(), 10_000, 0).decode()
        return Result(code, os.pread(out.fileno(), size, 0), said + message)


def no_pauses(then: Callable[[], None] = lambda: None) -> Clock:
    """Returns a clock that stands still and whose pauses only do something."""
    return Clock(now=lambda: 0.0, wait=lambda _: then())


def test_bytes_are_written_as_they_are(service: ScriptedService, client: list[str]) -> None:
    """Binary output in frames of any size arrives exactly, and nothing else is written."""
    pieces = [random.Random(size).randbytes(size) for size in (1, 70_000, 3, 1 << 20)]  # noqa: S311 - no secret
    offsets = list(itertools.accumulate(map(len, pieces), initial=0))
    service.reads.append([*map(data, offsets, pieces), end(offsets[-1])])
    result = run([*client, "logs", "stderr", "5a2e"])
    assert (result.code, result.err) == (0, "")
    assert result.out == b"".join(pieces)
    assert service.requests == [pb.ReadLogsRequest(job_id="5a2e", stream=pb.LOG_STREAM_STDERR, follow=True)]


def test_no_follow_is_passed_on(service: ScriptedService, client: list[str]) -> None:
    """The service ends where the output ends now."""
    service.reads.append([end(0)])
    assert run([*client, "logs", "stdout", "5a2e", "--no-follow"]) == Result(0, b"", "")
    assert service.requests == [pb.ReadLogsRequest(job_id="5a2e", stream=pb.LOG_STREAM_STDOUT)]


def test_a_broken_read_goes_on_at_its_offset(service: ScriptedService, client: list[str]) -> None:
    """No byte is lost or repeated, and the user is told once."""
    service.reads.extend([[data(0, b"one"), AWAY], [AWAY], [data(3, b"two"), end(6)]])
    result = read_with(client, no_pauses())
    assert (result.code, result.out) == (0, b"onetwo")
    assert [request.offset for request in service.requests if isinstance(request, pb.ReadLogsRequest)] == [0, 3, 3]
    assert result.err.count("\n") == 1
    assert result.err.endswith(" at byte 3 (the server is going away); reconnecting for up to 60 s, Ctrl-C ends it\n")


def test_each_outage_is_told(service: ScriptedService, client: list[str]) -> None:
    """After progress, the next break is news again."""
    service.reads.extend([[data(0, b"a"), AWAY], [data(1, b"b"), AWAY], [end(2)]])
    assert read_with(client, no_pauses()).err.count("reconnecting") == 2


def test_an_end_without_its_mark_is_a_break(service: ScriptedService, client: list[str]) -> None:
    """A read that ends OK but without the end frame is not taken for complete."""
    service.reads.extend([[data(0, b"one")], [data(3, b"two"), end(6)]])
    result = read_with(client, no_pauses())
    assert (result.code, result.out) == (0, b"onetwo")
    assert "without its end mark" in result.err


def test_a_server_that_went_away_and_came_back(service: ScriptedService, host: Host, client: list[str]) -> None:
    """The connection itself breaks, the server is gone, and comes back at its address: the bytes are exact."""
    service.reads.extend([[data(0, b"one"), Hang()], [data(3, b"two"), end(6)]])
    back = threading.Event()

    def go_away() -> None:
        service.hanging.wait()
        host.stop()

    def come_back() -> None:
        if not back.is_set():
            away.result()
            host.start()
            back.set()

    with ThreadPoolExecutor(1) as threads:
        away = threads.submit(go_away)
        result = read_with(client, no_pauses(come_back))
    assert (result.code, result.out) == (0, b"onetwo")


def test_patience_ends_with_the_offset(service: ScriptedService, client: list[str]) -> None:
    """A connection that does not come back ends in exit code 3 and says how much is written."""
    service.reads.extend([[data(0, b"one"), AWAY], [AWAY], [AWAY]])
    times = iter([0.0, PATIENCE / 2, PATIENCE + 1])
    result = read_with(client, Clock(now=lambda: next(times), wait=lambda _: None))
    assert (result.code, result.out) == (3, b"one")
    assert "for 60 s and gave up (the server is going away); all output before byte 3 is written" in result.err


def test_pauses_are_taken_between_attempts(service: ScriptedService, client: list[str]) -> None:
    """A service in trouble is not called in a tight loop."""
    service.reads.extend([[AWAY], [AWAY], [AWAY], [end(0)]])
    pauses: list[float] = []
    read_with(client, Clock(now=lambda: 0.0, wait=pauses.append))
    assert len(pauses) == 3
    assert all(pause >= 0.05 for pause in pauses)


@pytest.mark.parametrize(
    ("code", "part"),
    [
        (grpc.StatusCode.NOT_FOUND, "no job has the id 5a2e"),
        (grpc.StatusCode.INTERNAL, "the service failed"),
        (grpc.StatusCode.PERMISSION_DENIED, "logs needs the role FULL"),
    ],
)
def test_a_no_is_not_retried(service: ScriptedService, client: list[str], code: grpc.StatusCode, part: str) -> None:
    """Only broken connections are resumed; what the service refuses ends at once, after what came before."""
    service.reads.append([data(0, b"one"), Abort(code, "no")])
    result = read_with(client, no_pauses())
    assert (result.code, result.out) == (1, b"one")
    assert part in result.err
    assert len(service.requests) == 1


@pytest.mark.parametrize("wrong", [data(4, b"x"), data(2, b"x"), end(4)])
def test_a_gap_is_never_written(service: ScriptedService, client: list[str], wrong: pb.ReadLogsResponse) -> None:
    """Output at another offset than is due is an error, not output."""
    service.reads.append([data(0, b"one"), wrong])
    result = read_with(client, no_pauses())
    assert (result.code, result.out) == (1, b"one")
    assert "where byte 3 was due" in result.err


def test_a_server_that_was_never_there_is_not_waited_for(host: Host, client: list[str]) -> None:
    """Without a first connection, logs fails as the other verbs do."""
    host.stop()
    result = read_with(client, no_pauses())
    assert (result.code, result.out) == (3, b"")
    assert "is not reachable: connection refused" in result.err
    host.start()
