"""The file of the SQLite job store before it is used: made, checked, and brought to the schema of this version."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jobworker.worker.errors import JobStoreError
from jobworker.worker.refusals import exhausted
from jobworker.worker.sqlite_errors import is_damage, is_full, store_error

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION_ID = int.from_bytes(b"jobw")
"""In the file's header (PRAGMA application_id): whose file it is."""

MIGRATIONS = (
    f"""
    PRAGMA application_id = {APPLICATION_ID};
    CREATE TABLE jobs (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        command TEXT NOT NULL,
        owner TEXT NOT NULL,
        request_id TEXT,
        start_time INTEGER NOT NULL,
        stop_request_time INTEGER,
        end_time INTEGER,
        exit_code INTEGER,
        signal INTEGER,
        lost TEXT,
        by_stop INTEGER NOT NULL,
        killed_processes INTEGER NOT NULL,
        stdout_bytes INTEGER NOT NULL,
        stderr_bytes INTEGER NOT NULL
    );
    CREATE UNIQUE INDEX jobs_by_request ON jobs (owner, request_id) WHERE request_id IS NOT NULL;
    CREATE INDEX running_jobs ON jobs (position) WHERE end_time IS NULL;
    CREATE INDEX ended_jobs ON jobs (end_time) WHERE end_time IS NOT NULL;
    CREATE TABLE reservations (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        command TEXT NOT NULL,
        owner TEXT NOT NULL,
        request_id TEXT
    );
    """,
    # Whose jobs they are, whichever certificate started them. An index of principals has the positions too, in order.
    # And what page tokens are sealed with.
    """
    ALTER TABLE jobs ADD COLUMN principal TEXT NOT NULL DEFAULT '';
    UPDATE jobs SET principal = owner;
    DROP INDEX jobs_by_request;
    CREATE UNIQUE INDEX jobs_by_request ON jobs (principal, request_id) WHERE request_id IS NOT NULL;
    CREATE INDEX jobs_by_principal ON jobs (principal);
    CREATE INDEX jobs_by_principal_and_id ON jobs (principal, id);
    ALTER TABLE reservations ADD COLUMN principal TEXT NOT NULL DEFAULT '';
    UPDATE reservations SET principal = owner;
    CREATE TABLE secrets (value BLOB NOT NULL);
    """,
)
"""The scripts that bring a file to schema version 1, 2 and so on (PRAGMA user_version), each from the one before.

One that was released is never changed.
"""

PATIENCE = 2.0
"""How long a thread waits, in seconds, for another program that has the file locked."""


def connect(path: Path, patience: float) -> sqlite3.Connection:
    """Opens a database that is there, for whichever thread has use for it; each statement is a transaction.

    Args:
        path: The file.
        patience: How long, in seconds, a statement waits for who has locked it.
    """
    # Never made here: its mode would be another, and a file that somebody removed must not come back empty.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=patience, isolation_level=None, check_same_thread=False)


def prepare(path: Path, migrations: tuple[str, ...] = MIGRATIONS) -> None:
    """Makes the file, readable for this user alone, if it isn't there; else checks it, and upgrades its schema.

    All of it is on the disk then, and nothing is left in its WAL. A damaged file is renamed. One that is another
    application's, another version's or locked is left as it is.

    Args:
        path: The file.
        migrations: What `MIGRATIONS` says.

    Raises:
        JobStoreError: If the file can't be used; the fault of whoever touched it or configured it, or of the disk.
        ResourceExhaustedError: If the disk is full; the host's fault.
    """
    try:
        _create(path)
    except OSError as error:
        raise exhausted(error.errno or 0) or JobStoreError(path, error.strerror or str(error)) from error
    try:
        with closing(connect(path, PATIENCE)) as connection:
            try:
                _prepare(path, connection, migrations)
            except sqlite3.DatabaseError as error:
                if is_damage(error):
                    # Before it is closed: SQLite leaves files alone that were moved, and else would bring the WAL in.
                    raise _kept_aside(path, str(error)) from error
                raise
    except sqlite3.Error as error:
        raise store_error(path, error) from error


def sync_folder(path: Path) -> None:
    """Brings the names of a file and of its WAL to the disk."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(path: Path) -> None:
    """Makes an empty file, which is an empty database; SQLite gives the files beside it the same mode."""
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)  # whatever the umask
        finally:
            os.close(descriptor)


def _prepare(path: Path, connection: sqlite3.Connection, migrations: tuple[str, ...]) -> None:
    version = _version(path, connection, len(migrations))
    if _value(connection, "PRAGMA journal_mode = WAL") != "wal":
        raise JobStoreError(path, "its file system can't do what SQLite's WAL needs; give a state directory on another")
    if version:
        _check_pages(connection)
    # Whether it can be written to is found out now.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")
    for number, script in enumerate(migrations[version:], version + 1):
        _migrate(path, connection, number, script)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _version(path: Path, connection: sqlite3.Connection, known: int) -> int:
    application = _value(connection, "PRAGMA application_id")
    version = int(_value(connection, "PRAGMA user_version"))
    empty = not _value(connection, "SELECT count(*) FROM sqlite_master")
    if application != APPLICATION_ID and not (application == version == 0 and empty):
        raise JobStoreError(path, "it is a database of another application; move it away, or choose another file")
    if not 0 <= version <= known:
        raise JobStoreError(
            path, f"its schema has version {version}, and this jobworker knows {known}: upgrade jobworker"
        )
    return version


def _value(connection: sqlite3.Connection, statement: str) -> Any:  # noqa: ANN401 - as the statement has it
    return connection.execute(statement).fetchone()[0]


def _check_pages(connection: sqlite3.Connection) -> None:
    """Reads all pages and how they hang together, 45 ms for 100,000 jobs; not whether indexes agree with tables."""
    found = _value(connection, "PRAGMA quick_check(1)")
    if found != "ok":
        error = sqlite3.DatabaseError(found.splitlines()[-1])
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _migrate(path: Path, connection: sqlite3.Connection, number: int, script: str) -> None:
    """Runs one script, and says so in the file, in one step."""
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {script};\nPRAGMA user_version = {number}; COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if number == 1 or is_damage(error) or is_full(error):
            raise
        problem = f"it can't be upgraded to schema version {number} ({error}), and stays at {number - 1}"
        raise JobStoreError(path, problem) from error


def _kept_aside(path: Path, found: str) -> JobStoreError:
    """Renames a damaged file, and those beside it so that they still belong to it, and returns what is to be said."""
    aside = path.with_name(f"{path.name}.broken-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    try:
        # The WAL first: left beside a new file, it would be taken for that one's.
        for suffix in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                os.rename(f"{path}{suffix}", f"{aside}{suffix}")
    except OSError as error:
        return JobStoreError(path, f"it is damaged ({found}), and can't be moved aside: {error.strerror}")
    return JobStoreError(
        path, f"it was damaged ({found}) and is kept as {aside}; the next start begins with an empty store"
    )
