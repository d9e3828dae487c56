"""logs across broken connections: it goes on at the byte that is due, or says how far it came."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import pytest

from cli_testing import Abort, Hang, data, end, from_byte, gap, last, no_pauses, read_with, reads
from jobworker.client.reading import Clock
from jobworker.client.settings import PATIENCE
from jobworker.v1 import job_worker_pb2 as pb

if TYPE_CHECKING:
    from cli_testing import Host, ScriptedService

AWAY = Abort(grpc.StatusCode.UNAVAILABLE, "the server is going away")


def test_a_broken_read_goes_on_at_its_offset(service: ScriptedService, client: list[str]) -> None:
    """No byte is lost or repeated, and the user is told once."""
    service.reads.extend([[data(0, b"one"), AWAY], [AWAY], [data(3, b"two"), end(6)]])
    result = read_with(client, no_pauses())
    assert (result.code, result.out) == (0, b"onetwo")
    assert reads(service) == [from_byte(0), from_byte(3), from_byte(3)]
    assert result.err.count("\n") == 1
    assert result.err.endswith(" at byte 3 (the server is going away); reconnecting for up to 60 s, Ctrl-C ends it\n")


def test_a_read_that_the_server_did_not_begin_is_made_again(service: ScriptedService, client: list[str]) -> None:
    """CANCELLED is what gRPC makes of a call that comes as its server is told to stop."""
    service.reads.extend([[Abort(grpc.StatusCode.CANCELLED, "CANCELLED")], [data(0, b"one"), end(3)]])
    assert read_with(client, no_pauses()).out == b"one"


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


def test_a_quiet_follow_outlives_a_restart(service: ScriptedService, host: Host, client: list[str]) -> None:
    """Refused connections are borne also if the job has not written anything yet."""
    service.reads.extend([[Hang()], [data(0, b"late"), end(4)]])
    pauses = itertools.count(1)

    def go_away() -> None:
        service.hanging.wait()
        host.stop()

    def come_back() -> None:
        away.result()
        if next(pauses) == 3:
            assert len(reads(service)) == 1
            host.start()

    with ThreadPoolExecutor(1) as threads:
        away = threads.submit(go_away)
        result = read_with(client, no_pauses(come_back))
    assert (result.code, result.out) == (0, b"late")
    assert reads(service) == [from_byte(0), from_byte(0)]
    assert result.err.count("reconnecting") == 1


def test_patience_ends_with_the_offset(service: ScriptedService, client: list[str]) -> None:
    """A connection that does not come back ends in exit code 3 and says how much is written and how to go on."""
    service.reads.extend([[data(0, b"one"), AWAY], [AWAY], [AWAY]])
    # A call begins, breaks, and is followed by a pause.
    times = iter([0.0, 0.0, 0.0, PATIENCE / 2, PATIENCE / 2, PATIENCE / 2, PATIENCE, PATIENCE, PATIENCE])
    result = read_with(client, Clock(now=lambda: next(times), wait=lambda _: None))
    assert (result.code, result.out) == (3, b"one")
    assert "for 60 s and gave up at byte 3 (the server is going away); what came before is written" in result.err
    assert result.err.endswith("; see whether worker-daemon runs, and read on with --offset=3")


def test_patience_ends_before_anything_came(service: ScriptedService, client: list[str]) -> None:
    """Where the last lines begin is then still unknown, so no offset is made up."""
    service.reads.extend([[AWAY], [AWAY]])
    times = iter([0.0, 0.0, 0.0, PATIENCE, PATIENCE, PATIENCE])
    result = read_with(client, Clock(now=lambda: next(times), wait=lambda _: None), "--tail=3")
    assert (result.code, result.out) == (3, b"")
    assert "gave up before its first byte" in result.err
    assert result.err.endswith("; see whether worker-daemon runs, and read again")


def test_a_call_that_stood_renews_the_patience(service: ScriptedService, client: list[str]) -> None:
    """The follow of a job that writes nothing for hours survives more than one restart of the daemon."""
    service.reads.extend([[AWAY], [AWAY], [AWAY], [end(0)]])
    # Each call stands for an hour.
    times = iter([0.0, 3600.0, 3600.0, 3601.0, 7200.0, 7200.0, 7201.0, 9999.0, 9999.0, 9999.0])
    result = read_with(client, Clock(now=lambda: next(times), wait=lambda _: None))
    assert (result.code, result.out) == (0, b"")
    assert result.err.count("reconnecting") == 3


def test_a_slow_refusal_does_not_renew_the_patience(service: ScriptedService, host: Host, client: list[str]) -> None:
    """However long an attempt to connect takes, it is no call that stood."""
    service.reads.append([AWAY])
    # Each attempt takes a third of the patience.
    times = iter(range(0, 1000, int(PATIENCE) // 3))
    result = read_with(client, Clock(now=lambda: next(times), wait=lambda _: host.stop()))
    host.start()
    assert (result.code, result.out) == (3, b"")
    assert "for 60 s and gave up at byte 0 (failed to connect to all addresses" in result.err


def test_pauses_are_taken_between_attempts(service: ScriptedService, client: list[str]) -> None:
    """A service in trouble is not called in a tight loop."""
    service.reads.extend([[AWAY], [AWAY], [AWAY], [end(0)]])
    pauses: list[float] = []
    read_with(client, Clock(now=lambda: 0.0, wait=pauses.append))
    assert len(pauses) == 3
    assert all(pause >= 0.05 for pause in pauses)


def test_a_read_that_broke_after_a_gap_goes_on_behind_it(service: ScriptedService, client: list[str]) -> None:
    """The gap is not asked for again, and counts as progress."""
    service.reads.extend([[AWAY], [gap(0, 100), AWAY], [data(100, b"one"), end(103)]])
    result = read_with(client, no_pauses())
    assert (result.code, result.out) == (0, b"one")
    assert reads(service) == [from_byte(0), from_byte(0), from_byte(100)]
    assert result.err.count("are gone") == 1
    assert result.err.count("reconnecting") == 2


@pytest.mark.parametrize(
    ("first", "out", "offset"),
    [(data(100, b"one"), b"one", 103), (gap(0, 100), b"", 100), (data(0, b"one"), b"one", 3)],
)
def test_the_last_lines_go_on_by_offset(
    service: ScriptedService, client: list[str], first: pb.ReadLogsResponse, out: bytes, offset: int
) -> None:
    """Once their beginning is known, a resumed read asks for the byte that is due and for no lines."""
    service.reads.extend([[first, AWAY], [data(offset, b"two"), end(offset + 3)]])
    result = read_with(client, no_pauses(), "--tail=5")
    assert (result.code, result.out) == (0, out + b"two")
    assert reads(service) == [last(5), from_byte(offset)]


def test_the_last_lines_are_asked_for_again_until_something_came(service: ScriptedService, client: list[str]) -> None:
    """A call that broke before its first frame has told nothing."""
    service.reads.extend([[AWAY], [data(100, b"one"), end(103)]])
    result = read_with(client, no_pauses(), "--tail=0")
    assert (result.code, result.out) == (0, b"one")
    assert reads(service) == [last(0), last(0)]
    assert "before its first byte (the server is going away); reconnecting" in result.err


def test_a_resumed_read_asks_for_the_whole_id(service: ScriptedService, client: list[str]) -> None:
    """By then the beginning of the id may be that of another job, too."""
    service.reads.extend([[AWAY], [end(0)]])
    read_with(client, no_pauses())
    assert service.requests == [pb.GetJobRequest(job_id="5a2e"), from_byte(0), from_byte(0)]


def test_a_server_that_was_never_there_is_not_waited_for(host: Host, client: list[str]) -> None:
    """Without a first connection, logs fails as the other verbs do."""
    host.stop()
    result = read_with(client, no_pauses())
    assert (result.code, result.out) == (3, b"")
    assert "is not reachable: connection refused" in result.err
    host.start()
