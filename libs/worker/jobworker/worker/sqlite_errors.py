"""What an error of SQLite means to the worker; no I/O and no event loop."""

from __future__ import annotations

import errno
import sqlite3
from typing import TYPE_CHECKING

from jobworker.worker.errors import JobStoreError
from jobworker.worker.refusals import exhausted

if TYPE_CHECKING:
    from pathlib import Path

    from jobworker.worker.errors import WorkerError

# https://sqlite.org/rescode.html: the low byte of an extended code.
_PRIMARY = 0xFF


def _code(error: BaseException | None) -> int:
    # The module's own errors, such as of a closed connection, have none.
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY


def is_damage(error: BaseException | None) -> bool:
    """Whether an error says that the file is damaged, or no database at all."""
    return _code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def is_full(error: BaseException | None) -> bool:
    """Whether an error says that the disk is full."""
    return _code(error) == sqlite3.SQLITE_FULL


def is_locked(error: BaseException | None) -> bool:
    """Whether an error says that another program, or another connection, has the file locked."""
    return _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def store_error(path: Path, error: sqlite3.Error) -> WorkerError:
    """Returns the error that tells a caller what SQLite said of the store's file."""
    if is_full(error) and (full := exhausted(errno.ENOSPC)):
        return full
    if is_locked(error):
        return JobStoreError(path, "another program has locked it; end that program, then try again")
    if is_damage(error):
        return JobStoreError(
            path, f"it is damaged ({error}); the next start keeps it aside and begins with an empty one"
        )
    return JobStoreError(path, f"{error}; check the disk, and who may write to the file and its folder")
