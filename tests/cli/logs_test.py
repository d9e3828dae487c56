"""logs against a service behind real mutual TLS: exact bytes from where the user wants them, and what ends them."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import grpc
import pytest

from cli_testing import JOB_ID, Abort, Result, data, end, from_byte, gap, no_pauses, read_with, reads, run
from jobworker.v1 import job_worker_pb2 as pb

if TYPE_CHECKING:
    from cli_testing import ScriptedService, Step

AWAY = Abort(grpc.StatusCode.UNAVAILABLE, "the server is going away")


def test_bytes_are_written_as_they_are(service: ScriptedService, client: list[str]) -> None:
    """Binary output in frames of any size arrives exactly, and nothing else is written."""
    pieces = [random.Random(size).randbytes(size) for size in (1, 70_000, 3, 1 << 20)]  # noqa: S311 - no secret
    offsets = list(itertools.accumulate(map(len, pieces), initial=0))
    service.reads.append([*map(data, offsets, pieces), end(offsets[-1])])
    result = run([*client, "logs", "stderr", "5a2e"])
    assert (result.code, result.err) == (0, "")
    assert result.out == b"".join(pieces)
    assert service.requests == [
        pb.GetJobRequest(job_id="5a2e"),
        pb.ReadLogsRequest(job_id=JOB_ID, stream=pb.LOG_STREAM_STDERR, follow=True),
    ]


def test_no_follow_is_passed_on(service: ScriptedService, client: list[str]) -> None:
    """The service ends where the output ends now."""
    service.reads.append([end(0)])
    assert run([*client, "logs", "stdout", "5a2e", "--no-follow"]) == Result(0, b"", "")
    assert service.requests[1:] == [pb.ReadLogsRequest(job_id=JOB_ID, stream=pb.LOG_STREAM_STDOUT)]


@pytest.mark.parametrize(
    ("code", "part"),
    [
        (grpc.StatusCode.INTERNAL, "the service failed"),
        (grpc.StatusCode.OUT_OF_RANGE, "no; give a smaller one with --offset"),
        (grpc.StatusCode.PERMISSION_DENIED, "logs needs the role FULL"),
    ],
)
def test_a_no_is_not_retried(service: ScriptedService, client: list[str], code: grpc.StatusCode, part: str) -> None:
    """Only broken connections are resumed; what the service refuses ends at once, after what came before."""
    service.reads.append([data(0, b"one"), Abort(code, "no")])
    result = read_with(client, no_pauses())
    assert (result.code, result.out) == (1, b"one")
    assert part in result.err
    assert len(reads(service)) == 1


def test_a_job_that_does_not_exist(service: ScriptedService, client: list[str]) -> None:
    """An unknown id is told as for the other verbs, and nothing is read."""
    service.failures.append(Abort(grpc.StatusCode.NOT_FOUND, "no job"))
    result = run([*client, "logs", "stdout", "5a2e"])
    assert (result.code, result.out, result.err.count("\n")) == (1, b"", 1)
    assert "no job has the id 5a2e; see the jobs there are with worker-cli list" in result.err
    assert service.requests == [pb.GetJobRequest(job_id="5a2e")]


DELETED = Abort(grpc.StatusCode.NOT_FOUND, f"job {JOB_ID} was deleted, and its output with it")
FORGOTTEN = Abort(grpc.StatusCode.NOT_FOUND, f"no job has the id {JOB_ID}")


@pytest.mark.parametrize(
    ("calls", "out"),
    [
        ([[DELETED]], b""),
        ([[data(0, b"one"), DELETED]], b"one"),
        ([[data(0, b"one"), AWAY], [FORGOTTEN]], b"one"),
    ],
)
def test_a_job_that_is_deleted_meanwhile(
    service: ScriptedService, client: list[str], calls: list[list[Step]], out: bytes
) -> None:
    """A job that was there is not called unknown: the reading ends with what happened, and where it was."""
    service.reads.extend(calls)
    result = read_with(client, no_pauses())
    assert (result.code, result.out) == (1, out)
    said = result.err.splitlines()[-1]
    assert said == f"job {JOB_ID} was deleted, and its output with it; the reading of its stdout was at byte {len(out)}"


@pytest.mark.parametrize("wrong", [data(4, b"x"), data(2, b"x"), end(4), gap(4, 9), gap(2, 9), gap(0, 3)])
def test_what_is_not_due_is_never_written(
    service: ScriptedService, client: list[str], wrong: pb.ReadLogsResponse
) -> None:
    """Output at another offset than is due is an error, not output."""
    service.reads.append([data(0, b"one"), wrong])
    result = read_with(client, no_pauses())
    assert (result.code, result.out) == (1, b"one")
    assert "where byte 3 was due" in result.err


def test_released_output_is_told_and_passed_over(service: ScriptedService, client: list[str]) -> None:
    """What the daemon no longer has is a line on stderr; all that it has is written, and that is no failure."""
    service.reads.append([gap(0, 4096), data(4096, b"one"), gap(4099, 69632), data(69632, b"two"), end(69635)])
    result = run([*client, "logs", "stderr", "5a2e"])
    assert (result.code, result.out) == (0, b"onetwo")
    assert result.err.splitlines() == [
        "worker-cli: bytes 0 to 4096 of stderr are gone: the daemon released them to keep the log within its limit",
        "worker-cli: bytes 4099 to 69632 of stderr are gone: the daemon released them to keep the log within its limit",
    ]


@pytest.mark.parametrize("wrong", [data(3, b"x"), data(8, b"x"), data(10, b"x"), end(3), gap(3, 9), gap(9, 8)])
def test_what_follows_a_gap_begins_at_its_end(
    service: ScriptedService, client: list[str], wrong: pb.ReadLogsResponse
) -> None:
    """A gap is gone over exactly, or not at all."""
    service.reads.append([data(0, b"one"), gap(3, 9), wrong])
    result = read_with(client, no_pauses())
    assert (result.code, result.out) == (1, b"one")
    assert result.err.endswith("; please report this")


def test_logs_begin_at_an_offset(service: ScriptedService, client: list[str]) -> None:
    """The first byte asked for is the first byte written, also after a break."""
    service.reads.extend([[data(7, b"one"), AWAY], [data(10, b"two"), end(13)]])
    result = read_with(client, no_pauses(), "--offset=7")
    assert (result.code, result.out) == (0, b"onetwo")
    assert reads(service) == [from_byte(7), from_byte(10)]


def test_an_offset_past_the_end(service: ScriptedService, client: list[str]) -> None:
    """One line says how much there is, and what to do."""
    service.reads.append(
        [Abort(grpc.StatusCode.OUT_OF_RANGE, "offset 9 is past the end: the stream has 6 bytes so far")]
    )
    result = run([*client, "logs", "stdout", "5a2e", "--offset=9"])
    assert result == Result(
        1,
        b"",
        "worker-cli: offset 9 is past the end: the stream has 6 bytes so far; give a smaller one with --offset\n",
    )


def test_no_last_lines_are_an_end(service: ScriptedService, client: list[str]) -> None:
    """A stream of which nothing is left to show ends well, wherever its end is."""
    service.reads.append([end(500)])
    assert read_with(client, no_pauses(), "--tail=0", "--no-follow") == Result(0, b"", "")
