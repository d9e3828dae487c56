"""The SQLite job store's connection: reads and transactions on the event loop, fsyncs and checkpoints beside it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import warnings
from contextlib import AsyncExitStack, closing, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, final

from jobworker.worker.errors import JobStoreError, WorkerClosedError
from jobworker.worker.refusals import exhausted
from jobworker.worker.sqlite_errors import is_full, is_locked, store_error
from jobworker.worker.sqlite_schema import PATIENCE, connect, prepare, sync_folder
from jobworker.worker.sqlite_wal import Checkpoints, GroupSync, open_wal
from jobworker.worker.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jobworker.worker.errors import WorkerError
    from jobworker.worker.sqlite_rows import Row

Statement: TypeAlias = "tuple[str, Sequence[object]]"
"""SQL, and the values for its question marks."""

_LOOP_PATIENCE = 0.05
"""How long the event loop may stand still, in seconds, for another program that has the file locked."""


@final
class Database:
    """An open database file; all but `open`, `sync` and `close` block, for some 10 to 100 microseconds."""

    def __init__(self, path: Path, migrations: tuple[str, ...]) -> None:
        self._path = path
        self._migrations = migrations
        self._connection: sqlite3.Connection | None = None
        self._patience = _LOOP_PATIENCE
        self._stack = AsyncExitStack()

    def __repr__(self) -> str:
        return f"<Database {self._path} {'open' if self._connection else 'closed'}>"

    def __del__(self) -> None:
        if self._connection is not None:
            warnings.warn(f"{self!r} was never closed: use 'async with'", ResourceWarning, source=self, stacklevel=2)

    async def open(self) -> None:
        """Makes or checks the file, see `prepare`, and opens it.

        Raises:
            JobStoreError: If the file can't be used; the fault of whoever touched it or configured it, or of the disk.
            ResourceExhaustedError: If the disk is full, or no descriptors are left; the host's fault.
        """
        await in_thread(prepare, self._path, self._migrations)
        async with AsyncExitStack() as stack:
            try:
                connection = connect(self._path, _LOOP_PATIENCE)
                # In a thread, since the last one to close writes the WAL's rest into the database.
                stack.push_async_callback(in_thread, _close, connection)
                # In WAL mode NORMAL syncs what keeps the file whole; single commits are synced by `sync` alone.
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA wal_autocheckpoint = 0")
                connection.execute("SELECT count(*) FROM reservations").fetchall()
                wal = open_wal(self._path)
                stack.callback(os.close, wal)
                sync_folder(self._path)
            except sqlite3.Error as error:
                raise store_error(self._path, error) from error
            except OSError as error:
                raise self._disk_error(error) from error
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            self._group = GroupSync(partial(os.fdatasync, wal), tasks)
            self._checkpoints = Checkpoints(self._path, connection, tasks)
            self._stack = stack.pop_all()
        self._connection = connection
        self._patience = _LOOP_PATIENCE

    async def close(self) -> None:
        """Waits for what is under way, and moves all that is in the WAL into the database, on the disk."""
        self._connection = None
        # Without an exception of whoever closes it: what is under way is not to be cancelled.
        await self._stack.aclose()

    def read(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        """Returns the rows that a SELECT finds.

        Raises:
            JobStoreError: If the file can't be read; the fault of whoever touched it, or of the disk.
            WorkerClosedError: If the database is not open; the caller's fault.
        """
        connection = self._opened()
        try:
            return connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise store_error(self._path, error) from error

    def write(self, *statements: Statement) -> int:
        """Executes statements as one transaction, of which all or nothing is done.

        A kill of the process takes nothing of it; a power cut may, until `sync` has returned.

        Returns:
            How many rows the last of them changed.

        Raises:
            ValueError: If they violate a constraint; a bug of the caller's.
            ResourceExhaustedError: If the disk is full; the host's fault.
            JobStoreError: If the file can't be written to; the fault of whoever touched or locked it, or of the disk.
            WorkerClosedError: If the database is not open; the caller's fault.
        """
        connection = self._opened()
        try:
            changed = _make_room_and_transact(connection, statements)
        except sqlite3.IntegrityError as error:
            raise ValueError(str(error)) from error
        except sqlite3.Error as error:
            # Once is enough: whoever tries again while it is locked does not hold the event loop up.
            self._set_patience(0 if is_locked(error) else _LOOP_PATIENCE)
            raise store_error(self._path, error) from error
        self._set_patience(_LOOP_PATIENCE)
        self._checkpoints.note_write()
        return changed

    def wait_longer(self) -> None:
        """Has the next `write` wait for whoever has the file locked, longer than an event loop should."""
        self._set_patience(PATIENCE)

    async def sync(self) -> None:
        """Returns once everything that was written before the call is on the disk, even if the power is cut.

        Raises:
            ResourceExhaustedError: If the disk is full; the host's fault.
            JobStoreError: If it can't be written to, from then on until the store is opened anew; the disk's fault.
            WorkerClosedError: If the database is not open; the caller's fault.
        """
        self._opened()
        try:
            await self._group.sync()
        except OSError as error:
            raise self._disk_error(error) from error

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise WorkerClosedError
        return self._connection

    def _set_patience(self, patience: float) -> None:
        if self._connection is not None and patience != self._patience:
            self._connection.execute(f"PRAGMA busy_timeout = {round(patience * 1000)}")
            self._patience = patience

    def _disk_error(self, error: OSError) -> WorkerError:
        problem = f"can't be written to the disk ({error.strerror}); check the disk, then start the worker again"
        return exhausted(error.errno or 0) or JobStoreError(self._path, problem)


def _make_room_and_transact(connection: sqlite3.Connection, statements: Sequence[Statement]) -> int:
    try:
        return _transact(connection, statements)
    except sqlite3.OperationalError as error:
        if not is_full(error):
            raise
    # Once the database has all that is in the WAL, that begins anew, and overwrites what it has of the disk.
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    return _transact(connection, statements)


def _transact(connection: sqlite3.Connection, statements: Sequence[Statement]) -> int:
    if len(statements) == 1:
        return connection.execute(*statements[0]).rowcount
    changed = 0
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement, values in statements:
            changed = connection.execute(statement, values).rowcount
        connection.execute("COMMIT")
    finally:
        # SQLite itself rolls back after some errors, and not after others.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return changed


def _close(connection: sqlite3.Connection) -> None:
    # What can't be moved now, the WAL keeps for the next start.
    with closing(connection), suppress(sqlite3.Error):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
