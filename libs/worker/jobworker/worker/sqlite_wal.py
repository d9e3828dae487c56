"""The WAL of the SQLite job store: brought to the disk for many callers at once, and kept short.

Neither is done on the event loop, which would stand still for each fsync.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, final

from jobworker.worker.sqlite_schema import connect
from jobworker.worker.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WRITES = 1000
"""How many transactions go between checkpoints: some 5,000 frames of 4 KiB."""
MOST_FRAMES = 8192
"""How many frames the WAL may have before a checkpoint is worth the event loop's time: 32 MiB."""
ROOM = 1 << 20
"""How many bytes of disk the WAL has from the beginning: for the ends of some 80 jobs between checkpoints."""


@final
class GroupSync:
    """Brings what was written to the disk, for all callers who wait at once with one fsync.

    Who comes while an fsync runs shares the next one, since what it wrote may be too late for that.
    """

    def __init__(self, sync: Callable[[], object], tasks: asyncio.TaskGroup) -> None:
        """Prepares it.

        Args:
            sync: Brings everything written before it to the disk, blocking; an `OSError` says that it could not.
            tasks: Owns the task that there is while somebody waits.
        """
        self._sync = sync
        self._tasks = tasks
        self._waiting: list[asyncio.Future[None]] = []
        self._syncing = False
        self._failure: OSError | None = None

    def __repr__(self) -> str:
        return f"<GroupSync waiting={len(self._waiting)}>"

    async def sync(self) -> None:
        """Returns once everything that was written before the call is on the disk.

        Raises:
            OSError: If it is not, then and from then on; the disk's fault. The kernel reports a page that it could not
                write once, and forgets it (fsync(2), NOTES), so that no later fsync can be believed.
        """
        if self._failure is not None:
            raise self._failure
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if not self._syncing:
            self._syncing = True
            self._tasks.create_task(self._sync_all(), name="jobworker: fsync of the job store")
        # A future a caller: one that is cancelled takes nothing from the others.
        await future

    async def _sync_all(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            try:
                await in_thread(self._sync)
            except OSError as error:
                self._failure = error
            except BaseException:
                for future in (*waiting, *self._waiting):
                    future.cancel()
                raise
            for future in waiting:
                if not future.done():
                    _answer(future, self._failure)
        self._syncing = False


def _answer(future: asyncio.Future[None], failure: OSError | None) -> None:
    if failure is None:
        future.set_result(None)
    else:
        future.set_exception(failure)


@final
class Checkpoints:
    """Moves what is in the WAL into the database now and then, so that the WAL begins anew and does not grow."""

    def __init__(self, path: Path, connection: sqlite3.Connection, tasks: asyncio.TaskGroup) -> None:
        """Prepares it.

        Args:
            path: The database.
            connection: The one that everything is written with.
            tasks: Owns the task that there is while a checkpoint runs.
        """
        self._path = path
        self._connection = connection
        self._tasks = tasks
        self._writes = 0
        self._running = False

    def __repr__(self) -> str:
        return f"<Checkpoints writes={self._writes}>"

    def note_write(self) -> None:
        """Counts a transaction; every so many are followed by a checkpoint."""
        self._writes += 1
        if self._writes >= WRITES and not self._running:
            self._running = True
            self._writes = 0
            self._tasks.create_task(self._run(), name="jobworker: checkpoint of the job store")

    async def _run(self) -> None:
        try:
            if await in_thread(_checkpoint, self._path) > MOST_FRAMES:
                # The WAL begins anew at a write that finds all of it moved, which is none if writes came all the time.
                # Here nothing comes between, and little is left to be moved.
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error:
            # Such as a full disk. Nothing is lost, the WAL has it all; the next one tries again.
            pass
        finally:
            self._running = False


def _checkpoint(path: Path) -> int:
    """Moves what it can without being in anybody's way; returns how many frames the WAL has."""
    with closing(connect(path, 0)) as connection:
        return int(connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])


def open_wal(path: Path) -> int:
    """Returns a descriptor of a database's WAL, which is there once the database was read, and takes room for it.

    Of the WAL alone: SQLite's locks are on the other two files, and go with any descriptor of theirs that is closed
    (https://sqlite.org/howtocorrupt.html, section 2.2).
    """
    descriptor = os.open(f"{path}-wal", os.O_RDWR | os.O_CLOEXEC)
    # So ends of jobs can be written to a disk that became full meanwhile; if it is full already, so be it. What follows
    # the last frame of the WAL counts for nothing (https://sqlite.org/fileformat2.html, section 4.1).
    with suppress(OSError):
        os.posix_fallocate(descriptor, 0, ROOM)
    return descriptor
