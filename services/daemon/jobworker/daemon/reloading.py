"""Reads the identity's files again, when they changed or when asked to, and puts what is good in force."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, final

from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.file_watch import FileWatch
from jobworker.worker import Inotify, WorkerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from jobworker.daemon.counters import Counters
    from jobworker.daemon.live_identity import LiveIdentity
    from jobworker.daemon.snapshot import Snapshot
    from jobworker.daemon.snapshot_loader import SnapshotLoader

_logger = logging.getLogger(__name__)


@final
class Reloader:
    """Brings the snapshot in force up to date; `reloading` runs it."""

    def __init__(self, loader: SnapshotLoader, identity: LiveIdentity, counters: Counters) -> None:
        """Does nothing before it is asked to.

        Args:
            loader: What reads and checks the files.
            identity: What holds the snapshot in force.
            counters: What counts reloads, good and failed ones.
        """
        self._loader = loader
        self._identity = identity
        self._counters = counters
        self._news = asyncio.Event()
        self._is_asked = False
        # What was said last of files that are not good; said once, however often a broken file is touched.
        self._said = ""
        self._staleness: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Reloader {self._identity!r}>"

    def ask(self) -> None:
        """Has the files read again, and says what came of it even if nothing changed."""
        self._is_asked = True
        self._news.set()

    def note_change(self) -> None:
        """Has the files read again, since one may have changed."""
        self._news.set()

    async def run(self, watch: FileWatch | None) -> None:
        """Reads the files whenever there is reason to, and once at the beginning, for ever.

        Args:
            watch: What notices changes; None if nothing can.
        """
        self._news.set()
        self._warn_once_stale()
        while True:
            await self._news.wait()
            self._news.clear()
            is_asked, self._is_asked = self._is_asked, False
            # Before reading: what changes from then on is noticed.
            if watch is not None:
                watch.renew()
            await self._reload(is_asked=is_asked)

    async def _reload(self, *, is_asked: bool) -> None:
        before = self._identity.snapshot
        try:
            # Disks are slow, and so are long revocation lists: calls go on meanwhile.
            contents = await asyncio.to_thread(self._loader.read_again, before.contents)
            if is_asked or contents != before.contents:
                made = await asyncio.to_thread(self._loader.check, contents, before)
                self._put_in_force(made, contents.changes(before.contents))
            self._said = ""
        except ConfigurationError as error:
            self._fail(str(error), is_asked=is_asked)
        except Exception as error:  # noqa: BLE001 - whatever is in the files, what is in force goes on
            self._fail(f"{type(error).__name__}: {error}", is_asked=is_asked)

    def _put_in_force(self, made: Snapshot, changes: Sequence[str]) -> None:
        self._identity.replace(made)
        self._warn_once_stale()
        self._counters.add("jobworker_reloads_total", "result=good")
        fields = {"changed": ",".join(changes) or "nothing", "generation": made.generation}
        _logger.info("reloaded", extra={"fields": fields})

    def _fail(self, problem: str, *, is_asked: bool) -> None:
        if problem == self._said and not is_asked:
            return
        self._said = problem
        self._counters.add("jobworker_reloads_total", "result=failed")
        fields = {"error": problem, "generation": self._identity.snapshot.generation}
        _logger.error("reload_failed", extra={"fields": fields})

    def _warn_once_stale(self) -> None:
        """Has it said once, when a revocation list expires, that it is honoured all the same."""
        if self._staleness is not None:
            self._staleness.cancel()
        stale_at = self._identity.snapshot.revocations.stale_at()
        if stale_at is None:
            return
        loop = asyncio.get_running_loop()
        seconds = max(0.0, stale_at.timestamp() - time.time())
        self._staleness = loop.call_later(seconds, self._warn_of_staleness, stale_at)

    def _warn_of_staleness(self, stale_at: datetime) -> None:
        self._counters.add("jobworker_crl_expired_total")
        fields = {"at": f"{stale_at:%Y-%m-%dT%H:%M:%SZ}", "file": self._loader.files.crl, "still": "honoured"}
        _logger.warning("crl_expired", extra={"fields": fields})


@asynccontextmanager
async def reloading(loader: SnapshotLoader, identity: LiveIdentity, counters: Counters) -> AsyncIterator[Reloader]:
    """Keeps the snapshot in force up to date inside the context.

    Args:
        loader: What reads and checks the files.
        identity: What holds the snapshot in force.
        counters: What counts reloads.
    """
    reloader = Reloader(loader, identity, counters)
    async with AsyncExitStack() as stack:
        watch = None
        try:
            inotify = await stack.enter_async_context(Inotify())
            watch = FileWatch(inotify, loader.files.paths().values(), reloader.note_change)
        except WorkerError as error:
            _logger.warning("watch_failed", extra={"fields": {"error": str(error), "instead": "SIGHUP"}})
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        running = tasks.create_task(reloader.run(watch))
        stack.callback(running.cancel)
        yield reloader
