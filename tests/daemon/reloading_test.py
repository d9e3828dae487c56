"""Reloads apart from a daemon: what nobody foresaw, and hosts where nothing can be watched."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from jobworker.daemon.counters import Counters
from jobworker.daemon.file_watch import FileWatch
from jobworker.daemon.identity_files import Contents, IdentityFiles
from jobworker.daemon.live_identity import LiveIdentity
from jobworker.daemon.principals import PrincipalTable
from jobworker.daemon.reloading import reloading
from jobworker.daemon.revocation import Revocations
from jobworker.daemon.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from jobworker.daemon.snapshot_loader import SnapshotLoader
    from jobworker.worker import Inotify

_NOWHERE = Path("/no/such")


class _Loader:
    """Stands for a loader that fails in a way nobody foresaw."""

    files = IdentityFiles(_NOWHERE, _NOWHERE, _NOWHERE, _NOWHERE, None)

    def __init__(self, called: Callable[[], object]) -> None:
        self._called = called

    def read_again(self, _before: Contents) -> Contents:
        self._called()
        raise ZeroDivisionError("bad")


async def test_an_unforeseen_error_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The daemon goes on with what it had, says what it was, and reads again when there is reason to."""
    calls: asyncio.Queue[None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loader = cast("SnapshotLoader", _Loader(lambda: loop.call_soon_threadsafe(calls.put_nowait, None)))
    server: Any = None
    first = Snapshot(1, server, PrincipalTable.of([]), Revocations(), Contents({}, ""))
    identity, counters = LiveIdentity(first), Counters()
    with caplog.at_level(logging.ERROR):
        async with reloading(loader, identity, counters) as reloader:
            await calls.get()
            reloader.ask()
            await calls.get()
            reloader.ask()
            await calls.get()
    assert identity.snapshot is first
    errors = {vars(record)["fields"]["error"] for record in caplog.records if record.getMessage() == "reload_failed"}
    assert errors == {"ZeroDivisionError: bad"}
    assert counters.snapshot()['jobworker_reloads_total{result="failed"}'] >= 2


class _Inotify:
    """Stands for a host where one directory can't be watched."""

    def add_entries(self, directory: str, names: object, callback: object) -> int:
        del names, callback
        if directory in {"/", "/no"}:
            raise PermissionError(13, "Permission denied", directory)
        return 1

    def remove(self, watch: int) -> None:
        del watch


def test_a_directory_that_cannot_be_watched_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever runs the daemon learns that SIGHUP is needed there; not of one that merely leads there."""
    watch = FileWatch(cast("Inotify", _Inotify()), [_NOWHERE, Path("/no/way/here")], lambda: None)
    with caplog.at_level(logging.WARNING):
        watch.renew()
        watch.renew()
    (record,) = caplog.records
    assert record.getMessage() == "watch_failed"
    assert vars(record)["fields"] == {
        "directory": "/no",
        "error": "[Errno 13] Permission denied: '/no'",
        "instead": "SIGHUP",
    }
