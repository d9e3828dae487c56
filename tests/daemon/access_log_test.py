"""The access log: a line for each call that was let in, and a bounded number for those that were not."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from google.rpc import code_pb2

from jobworker.daemon.access_log import AccessLog
from jobworker.daemon.call import Call
from jobworker.daemon.peer import Peer
from jobworker.daemon.principals import Caller, Role
from jobworker.daemon.throttle import Throttle

_CALLER = Caller("ci", Role.LOG, "f1")


def _written(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, Any]]]:
    return [(record.getMessage(), vars(record)["fields"]) for record in caplog.records]


def _call(fingerprint: str = "f1", caller: Caller | None = None) -> Call:
    return Call("/x/Y", Peer(fingerprint, "name", b"TLSv1.3"), caller)


async def test_calls_that_were_let_in(caplog: pytest.LogCaptureFixture) -> None:
    """Each has its line, however many there are."""
    with caplog.at_level(logging.INFO):
        log = AccessLog()
        for _ in range(100):
            log.write(_call(caller=_CALLER), code_pb2.OK, "ipv4:127.0.0.1:1", 0.0015)
        log.close()
    lines = _written(caplog)
    assert len(lines) == 100
    assert lines[0][1] == {
        "method": "/x/Y",
        "code": "OK",
        "duration_ms": "1.50",
        "principal": "ci",
        "peer": "f1",
        "name": "name",
        "address": "ipv4:127.0.0.1:1",
        "job": "",
    }


@pytest.mark.parametrize(
    ("caller", "code"),
    [
        (None, code_pb2.PERMISSION_DENIED),
        (None, code_pb2.CANCELLED),
        (_CALLER, code_pb2.PERMISSION_DENIED),
        (_CALLER, code_pb2.RESOURCE_EXHAUSTED),
        (_CALLER, code_pb2.UNIMPLEMENTED),
    ],
)
async def test_refused_calls(caplog: pytest.LogCaptureFixture, caller: Caller | None, code: Any) -> None:  # noqa: ANN401 - an enum's number
    """The first few have their lines, and the number of the others is told; another peer is told apart."""
    with caplog.at_level(logging.INFO):
        log = AccessLog(Throttle(burst=2))
        for _ in range(10):
            log.write(_call(caller=caller), code, "", 0.0)
        log.write(_call("f2", caller), code, "", 0.0)
        log.close()
    *calls, (event, fields) = _written(caplog)
    assert [(name, each["peer"]) for name, each in calls] == [("call", "f1"), ("call", "f1"), ("call", "f2")]
    assert (event, fields) == (
        "further_calls_refused",
        {"peer": "f1", "code": code_pb2.Code.Name(code), "count": 8},
    )


async def test_told_in_time() -> None:
    """The number is told once a window is over, without any further call."""
    told = asyncio.Event()

    class Listener(logging.Handler):
        """Waits for the line that tells the number."""

        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "further_calls_refused":
                told.set()

    listener = Listener()
    logging.getLogger().addHandler(listener)
    try:
        log = AccessLog(Throttle(burst=1, window=0.01))
        for _ in range(2):
            log.write(_call(), code_pb2.PERMISSION_DENIED, "", 0.0)
        await told.wait()
        log.close()
    finally:
        logging.getLogger().removeHandler(listener)


async def test_the_unlogged_is_not_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Where the log's level leaves refusals out, nothing is told of them."""
    with caplog.at_level(logging.ERROR):
        log = AccessLog(Throttle(burst=1))
        for _ in range(3):
            log.write(_call(), code_pb2.PERMISSION_DENIED, "", 0.0)
        log.close()
    assert _written(caplog) == []
