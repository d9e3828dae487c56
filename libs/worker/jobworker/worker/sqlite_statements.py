"""What the SQLite job store says in SQL; values always go in by question marks."""

# ruff: noqa: S105, S608 - statements are no passwords, and what is put together here are names of our own columns

from __future__ import annotations

from jobworker.worker.sqlite_rows import CHANGE_COLUMNS, JOB_COLUMNS, RESERVATION_COLUMNS
from jobworker.worker.store import MAX_SURPLUS

_JOB = ", ".join(JOB_COLUMNS)
# Each look-up by id or position, of everyone's jobs and of one principal's, has an index that serves it alone.
_RESERVATION = ", ".join(RESERVATION_COLUMNS)
BY_ID = f"SELECT {_JOB} FROM jobs WHERE id >= ? AND id < ? ORDER BY id LIMIT 2"
BY_ID_OF = f"SELECT {_JOB} FROM jobs WHERE principal = ? AND id >= ? AND id < ? ORDER BY id LIMIT 2"
COUNT_BY_ID = "SELECT count(*) FROM jobs WHERE id >= ? AND id < ?"
COUNT_BY_ID_OF = "SELECT count(*) FROM jobs WHERE principal = ? AND id >= ? AND id < ?"
BY_REQUEST = f"SELECT {_JOB} FROM jobs WHERE principal = ? AND request_id = ?"
TAKEN = "SELECT 1 FROM jobs WHERE id = ? OR (principal = ? AND request_id = ?)"
PAGE = f"SELECT {_JOB}, position FROM jobs WHERE position < ? ORDER BY position DESC LIMIT ?"
PAGE_OF = f"SELECT {_JOB}, position FROM jobs WHERE principal = ? AND position < ? ORDER BY position DESC LIMIT ?"
RUNNING = f"SELECT {_JOB} FROM jobs WHERE end_time IS NULL ORDER BY position"
ENDED_BEFORE = f"SELECT {_JOB} FROM jobs WHERE end_time < ? ORDER BY end_time, position LIMIT {MAX_SURPLUS}"
ENDED_FIRST = f"SELECT {_JOB} FROM jobs WHERE end_time IS NOT NULL ORDER BY end_time, position LIMIT ?"
OLDEST_END = "SELECT min(end_time) FROM jobs WHERE end_time IS NOT NULL"
COUNT = "SELECT count(*) FROM jobs"
# Bytes, whatever somebody has put there.
SECRET = "SELECT CAST(value AS BLOB) FROM secrets LIMIT 1"
KEEP_SECRET = "INSERT INTO secrets (value) VALUES (?)"
RESERVATIONS = f"SELECT {_RESERVATION} FROM reservations ORDER BY position"
ADD = f"INSERT INTO jobs ({_JOB}) VALUES ({', '.join('?' * len(JOB_COLUMNS))})"
# Of no other columns: SQLite writes each index anew that one of those named here is in.
REPLACE = f"UPDATE jobs SET {', '.join(f'{column} = ?' for column in CHANGE_COLUMNS)} WHERE id = ?"
DELETE = "DELETE FROM jobs WHERE id = ?"
RESERVE = f"INSERT INTO reservations ({_RESERVATION}) VALUES ({', '.join('?' * len(RESERVATION_COLUMNS))})"
RELEASE = "DELETE FROM reservations WHERE id = ?"
