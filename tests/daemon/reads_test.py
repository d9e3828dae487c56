"""Reads of a tail, of so many bytes, and of output that was released."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import grpc
import pytest

from daemon_world import finish, follow, new_world, read_until, reason_of, shell
from jobworker.v1 import job_worker_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon_world import Pki, World
    from jobworker.v1 import job_worker_pb2_grpc as rpc

_Asked = pb.ReadLogsRequest
_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_LIMIT = 64 << 10
_LINE = 16
_LINES = 40_000


def _read(
    stub: rpc.JobWorkerServiceStub, job_id: str, asked: pb.ReadLogsRequest | None = None
) -> tuple[list[tuple[int, bytes]], int]:
    """Reads a job's stdout; returns its pieces with their offsets, a gap's without bytes, and the end's offset."""
    request = pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT)
    request.MergeFrom(asked or _Asked())
    *frames, last = stub.ReadLogs(request)
    assert last.HasField("end")
    pieces = [
        (frame.data.offset, frame.data.data) if frame.HasField("data") else (getattr(frame.gap, "from"), b"")
        for frame in frames
    ]
    return pieces, last.end.offset


@pytest.fixture(scope="module")
def three_lines(world: World) -> str:
    """The id of a finished job that wrote three lines, the last without a newline."""
    with world.stub() as stub:
        job_id = shell(stub, "printf 'one\\ntwo\\nthree'")
        finish(stub, job_id)
    return job_id


@pytest.mark.parametrize(
    ("tail_lines", "offset", "text"),
    [(1, 8, b"three"), (2, 4, b"two\nthree"), (3, 0, b"one\ntwo\nthree"), (2**62, 0, b"one\ntwo\nthree")],
)
def test_tail(stub: rpc.JobWorkerServiceStub, three_lines: str, tail_lines: int, offset: int, text: bytes) -> None:
    """A tail begins that many lines before the end, at the offset that these have, or at the beginning."""
    assert _read(stub, three_lines, _Asked(tail_lines=tail_lines)) == ([(offset, text)], 13)


def test_tail_of_no_lines(stub: rpc.JobWorkerServiceStub, three_lines: str) -> None:
    """A tail of 0 lines is the end, which is something else than no tail."""
    assert _read(stub, three_lines, _Asked(tail_lines=0)) == ([], 13)
    assert _read(stub, three_lines) == ([(0, b"one\ntwo\nthree")], 13)


def test_tail_that_is_followed(stub: rpc.JobWorkerServiceStub) -> None:
    """A tail goes on with what is written after it, exactly."""
    running = shell(stub, "echo one; echo two; exec sleep 1000")
    read_until(follow(stub, running), b"two\n")
    request = pb.ReadLogsRequest(job_id=running, stream=pb.LOG_STREAM_STDOUT, tail_lines=1, follow=True)
    frames = stub.ReadLogs(request)
    assert next(frames).data == pb.LogData(offset=4, data=b"two\n")
    stub.StopJob(pb.StopJobRequest(job_id=running))
    (last,) = frames
    assert last.end.offset == 8


@pytest.mark.parametrize(
    ("offset", "limit", "text"),
    [(0, 5, b"one\nt"), (4, 3, b"two"), (8, 5, b"three"), (8, 6, b"three"), (0, 2**62, b"one\ntwo\nthree")],
)
def test_limit(stub: rpc.JobWorkerServiceStub, three_lines: str, offset: int, limit: int, text: bytes) -> None:
    """No more bytes than asked for come, and the end says where to read on."""
    for follows in (False, True):
        read = _read(stub, three_lines, _Asked(offset=offset, limit=limit, follow=follows))
        assert read == ([(offset, text)], offset + len(text))


def test_limit_of_a_running_job(stub: rpc.JobWorkerServiceStub) -> None:
    """A follow with a limit ends there, while the job runs on."""
    job_id = shell(stub, "echo one; exec sleep 1000")
    assert _read(stub, job_id, _Asked(limit=2, follow=True)) == ([(0, b"on")], 2)
    assert stub.StopJob(pb.StopJobRequest(job_id=job_id)).job.state == pb.JOB_STATE_STOPPED


def test_tail_and_limit(stub: rpc.JobWorkerServiceStub, three_lines: str) -> None:
    """The limit counts from where the tail begins."""
    assert _read(stub, three_lines, _Asked(tail_lines=2, limit=5)) == ([(4, b"two\nt")], 9)


def test_what_cannot_be(stub: rpc.JobWorkerServiceStub, three_lines: str) -> None:
    """Each has its reason, with which a program can tell them apart."""
    for asked, reason in (
        (_Asked(tail_lines=-1), "INVALID_TAIL_LINES"),
        (_Asked(tail_lines=1, offset=4), "INVALID_TAIL_LINES"),
        (_Asked(limit=-1), "INVALID_LIMIT"),
    ):
        assert reason_of(functools.partial(_read, stub, three_lines, asked)) == (_INVALID, reason)


@pytest.fixture(scope="module")
def small_world(pki: Pki) -> Iterator[World]:
    """A daemon that keeps no more of a stream than it has to be told at least."""
    with new_world(pki, f"--log-limit={_LIMIT}") as made:
        yield made


@pytest.fixture(scope="module")
def long_job(small_world: World) -> str:
    """The id of a finished job that wrote numbered lines, far more than are kept."""
    with small_world.stub() as stub:
        job_id = shell(stub, f"seq -f %015.0f {_LINES}")
        request = pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT, follow=True, tail_lines=0)
        *_, last = stub.ReadLogs(request)
    assert (last.end.offset, last.end.job.exit_code) == (_LINES * _LINE, 0)
    return job_id


def _lines(first: int, last: int) -> bytes:
    return b"".join(b"%015d\n" % number for number in range(first, last + 1))


def test_released_output(small_world: World, long_job: str) -> None:
    """What was released is a gap, and what follows it is exact, at the offsets that it always had."""
    with small_world.stub() as stub:
        pieces, end = _read(stub, long_job)
        (start, gap), *data = pieces
        text = b"".join(piece for _, piece in data)
        assert (start, gap, end) == (0, b"", _LINES * _LINE)
        first = data[0][0]
        assert first % 4096 == 0
        assert _LIMIT <= len(text) <= 3 * _LIMIT
        assert text == _lines(first // _LINE + 1, _LINES)
        last_two = _lines(_LINES - 1, _LINES)
        # From the middle of the gap, and from its end.
        assert _read(stub, long_job, _Asked(offset=5))[0][:1] == [(5, b"")]
        assert _read(stub, long_job, _Asked(offset=first)) == (data, end)
        assert _read(stub, long_job, _Asked(tail_lines=2)) == ([(end - 2 * _LINE, last_two)], end)


def test_tail_that_was_released(small_world: World, long_job: str) -> None:
    """A tail of more lines than are kept begins with the gap."""
    with small_world.stub() as stub:
        assert _read(stub, long_job, _Asked(tail_lines=_LINES))[0][0] == (0, b"")


def test_limit_across_a_gap(small_world: World, long_job: str) -> None:
    """A gap doesn't count as bytes that the read gave."""
    with small_world.stub() as stub:
        (_, gap), (first, piece) = _read(stub, long_job, _Asked(limit=_LINE))[0]
        assert (gap, piece) == (b"", _lines(first // _LINE + 1, first // _LINE + 1))


def test_no_limit(pki: Pki) -> None:
    """With --log-limit=0 nothing is ever released."""
    with new_world(pki, "--log-limit=0") as world, world.stub() as stub:
        output, job = finish(stub, shell(stub, f"seq -f %015.0f {_LINES}"))
    assert output == _lines(1, _LINES)
    assert job.stdout_bytes == len(output)
