"""The audit log in an event loop: lines share a sync, what happened is kept until it can be written, all is bounded."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest

from jobworker.daemon import audit_log
from jobworker.daemon.audit import auditing
from jobworker.daemon.audit_chain import parse_line
from jobworker.daemon.audit_entries import CHANGES, RefusedKind, arguments_hash, request_fields
from jobworker.daemon.audit_file import AuditFile
from jobworker.daemon.audit_log import AuditLog
from jobworker.daemon.audit_options import AuditOptions
from jobworker.daemon.audit_trail import AuditTrail
from jobworker.daemon.call import Call
from jobworker.daemon.counters import Counters
from jobworker.daemon.errors import AccessDeniedError, AuditUnwritableError, BindError
from jobworker.daemon.throttle import Throttle
from jobworker.v1 import job_worker_pb2 as pb
from jobworker.worker import JobNotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

_START = "/jobworker.v1.JobWorkerService/StartJob"
_STOP = "/jobworker.v1.JobWorkerService/StopJob"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is to be."""
    return tmp_path / "audit.log"


@asynccontextmanager
async def opened(path: Path, counters: Counters | None = None) -> AsyncIterator[AuditLog]:
    """Opens an audit log, and writes it out at the end."""
    with closing(AuditFile(path)) as file:
        log = AuditLog(file, counters or Counters())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(log.run())
            yield log
            log.close()


def told(path: Path, *fields: str) -> list[tuple[object, ...]]:
    """Returns each line's event with some of its fields; unless told otherwise with the one that these tests write."""
    lines = [parse_line(raw).fields for raw in path.read_bytes().splitlines(keepends=True)]
    if fields:
        return [(line["event"], *map(line.get, fields)) for line in lines]
    return [(line["event"], line.get("is", line.get("count"))) for line in lines]


def remove(path: Path) -> None:
    """Removes the log."""
    path.unlink()


async def test_lines_share_a_sync(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that come while others are written are written together."""
    syncs: list[None] = []
    sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: syncs.append(sync(descriptor)))
    async with opened(path) as log:
        assert await asyncio.gather(*(log.begin({"is": number}) for number in range(50))) == list(range(1, 51))
    assert len(syncs) <= 2
    assert told(path) == [("begin", number) for number in range(50)]


async def test_what_happened_is_kept_until_it_can_be_written(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was only announced did not happen, and is not; it is said once that the log can't be written."""
    with caplog.at_level(logging.INFO):
        async with opened(path) as log:
            assert await log.record("call", {"is": 1})
            remove(path)
            assert not await log.record("call", {"is": 2})
            with pytest.raises(AuditUnwritableError):
                await log.begin({"is": 3})
            log.record_soon("call", {"is": 4})
            log.reopen()
            assert await log.begin({"is": 5}) == 4
    assert told(path) == [("call", 2), ("call", 4), ("begin", 5)]
    events = [record.getMessage() for record in caplog.records]
    assert events.count("audit_log_unwritable") == 1
    assert [vars(each)["fields"]["is"] for each in caplog.records if each.getMessage() == "audit_log"] == [
        "opened",
        "reopened",
        "writable_again",
        "closed",
    ]


async def test_what_is_kept_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond that it is told how much was lost."""
    monkeypatch.setattr(audit_log, "_MOST_KEPT", 3)
    async with opened(path) as log:
        assert await log.record("call", {"is": 0})
        remove(path)
        for number in range(1, 8):
            assert not await log.record("call", {"is": number})
        log.reopen()
        assert await log.record("call", {"is": 8})
    assert told(path) == [("call", 1), ("call", 2), ("call", 3), ("call", 8), ("lost", 4)]


async def test_lines_and_failures_are_counted(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An operator is to be woken by the first failure; what is lost in the end is said."""
    counters = Counters()
    async with opened(path, counters) as log:
        assert await log.record("call", {"is": 1})
        remove(path)
        assert not await log.record("call", {"is": 2})
    assert counters.snapshot() == {
        "jobworker_audit_failures_total": 1,
        'jobworker_audit_lines_total{event="call"}': 1,
    }
    assert [vars(each)["fields"] for each in caplog.records if each.getMessage() == "audit_log_lost"] == [{"lines": 1}]


async def test_a_caller_that_is_cancelled_leaves_its_line(path: Path) -> None:
    """Nor does it keep others from theirs."""
    async with opened(path) as log:
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(log.record("call", {"is": 1}))
            await asyncio.sleep(0)
            waiting.cancel()
        assert await log.record("call", {"is": 2})
    assert told(path) == [("call", 1), ("call", 2)]


async def test_the_chains_end_is_told_every_so_often(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who cuts off the end of the log has to change the daemon's log, too."""
    with caplog.at_level(logging.INFO):
        async with opened(path) as log:
            await asyncio.gather(*(log.record("call", {}) for _ in range(1001)))
    written = [vars(each)["fields"] for each in caplog.records if vars(each).get("fields", {}).get("is") == "written"]
    assert [fields["seq"] for fields in written] == [1001]


async def test_a_flood_is_summarized_when_its_window_is_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though no further call comes; and another kind has a window of its own."""
    async with opened(path) as log, asyncio.TaskGroup() as tasks:
        summarized, record_soon = asyncio.Event(), log.record_soon

        def spy(event: str, fields: Mapping[str, object]) -> None:
            record_soon(event, fields)
            if event == "refusals":
                summarized.set()

        monkeypatch.setattr(log, "record_soon", spy)
        trail = AuditTrail(log, tasks, throttle=Throttle[RefusedKind](burst=1, window=0.5))
        # At once, so that they are in one window however slow the disk is.
        await asyncio.gather(*(trail.refused(Call(_START), "peer", AccessDeniedError()) for _ in range(4)))
        await summarized.wait()
        await trail.refused(Call("/made/up"), "peer", AccessDeniedError())
        await trail.close()
    assert told(path) == [
        ("daemon_start", None),
        ("call", None),
        ("refusals", 3),
        ("call", None),
        ("daemon_stop", None),
    ]


async def test_an_error_is_told_as_it_is(path: Path) -> None:
    """What ends the daemon while it audits is not hidden in a group of errors."""
    with pytest.raises(BindError):
        async with auditing(AuditOptions(path), Counters()):
            raise BindError("no")
    assert told(path) == [("daemon_start", None), ("daemon_stop", None)]


async def test_a_call_that_the_daemons_end_cuts_short_is_told_of(path: Path) -> None:
    """Nobody knows what came of it, and that is what the log says."""
    begun, call = asyncio.Event(), Call(_START)

    async def body() -> object:
        await call.announce("job")
        begun.set()
        return await asyncio.Event().wait()

    async with auditing(AuditOptions(path), Counters()) as audit, asyncio.TaskGroup() as tasks:
        calling = tasks.create_task(audit.carry_out(call, "peer", body))
        await begun.wait()
        calling.cancel()
    assert told(path, "outcome", "reason") == [
        ("daemon_start", None, None),
        ("begin", None, None),
        ("call", "CANCELLED", "DAEMON_STOPPED"),
        ("daemon_stop", None, None),
    ]


async def test_a_call_that_fails_before_it_changes_anything_is_told_as_refused_ones_are(path: Path) -> None:
    """It has one line, and of too many of them the number is told: they cost their caller little."""

    async def body() -> object:
        raise JobNotFoundError("job")

    async with auditing(AuditOptions(path), Counters()) as audit:
        for _ in range(12):
            call = Call(_STOP, request=pb.StopJobRequest(job_id="job"))
            with pytest.raises(JobNotFoundError) as error:
                await audit.carry_out(call, "peer", body)
            await audit.refused(call, "peer", error.value)
    assert told(path, "outcome", "job", "count") == [
        ("daemon_start", None, None, None),
        *[("call", "NOT_FOUND", "job", None)] * 10,
        ("refusals", "NOT_FOUND", None, 2),
        ("daemon_stop", None, None, None),
    ]


def test_every_method_is_known_to_change_something_or_not() -> None:
    """A new one has to be thought of; and one that does has one request and one answer, as the audit takes them."""
    reads = {"/jobworker.v1.JobWorkerService/" + name for name in ("GetJob", "ListJobs", "ReadLogs")}
    methods = {
        f"/jobworker.v1.JobWorkerService/{method.name}": method
        for method in pb.DESCRIPTOR.services_by_name["JobWorkerService"].methods
    }
    assert reads | CHANGES == set(methods)
    assert not any(methods[name].client_streaming or methods[name].server_streaming for name in CHANGES)


def test_arguments_are_whole_unless_the_call_was_refused() -> None:
    """Whoever may start a job can't hide a part of its command behind another."""
    request = pb.StartJobRequest(command=["x" * 100_000, "rm"])
    assert request_fields(request, redact=False)["argv"] == ["x" * 100_000, "rm"]
    cut = request_fields(request, redact=False, is_refused=True)
    assert (cut["argv"], cut["argv_is_cut"]) == (["x" * 4096], True)
    assert cut["argv_sha256"] == arguments_hash(["x" * 100_000, "rm"])
    assert request_fields(request, redact=True) == {"job": None, "argv_sha256": cut["argv_sha256"]}


def test_a_call_of_which_no_request_was_received_says_nothing_of_it() -> None:
    """Whoever is not let in is not listened to."""
    assert request_fields(None, redact=False) == {"job": None}
