"""What the SQLite job store says in SQL; values always go in by question marks."""

# ruff: noqa: S608 - what is put together here are the names of our own columns

from __future__ import annotations

from jobworker.worker.sqlite_rows import JOB_COLUMNS, RESERVATION_COLUMNS
from jobworker.worker.store import MAX_SURPLUS

_JOB = ", ".join(JOB_COLUMNS)
_RESERVATION = ", ".join(RESERVATION_COLUMNS)
BY_ID = f"SELECT {_JOB} FROM jobs WHERE id >= ? AND id < ? ORDER BY id LIMIT 2"
COUNT_BY_ID = "SELECT count(*) FROM jobs WHERE id >= ? AND id < ?"
BY_REQUEST = f"SELECT {_JOB} FROM jobs WHERE owner = ? AND request_id = ?"
TAKEN = "SELECT 1 FROM jobs WHERE id = ? OR (owner = ? AND request_id = ?)"
PAGE = f"SELECT {_JOB}, position FROM jobs WHERE position < ? ORDER BY position DESC LIMIT ?"
RUNNING = f"SELECT {_JOB} FROM jobs WHERE end_time IS NULL ORDER BY position"
ENDED_BEFORE = f"SELECT {_JOB} FROM jobs WHERE end_time < ? ORDER BY end_time, position LIMIT {MAX_SURPLUS}"
ENDED_FIRST = f"SELECT {_JOB} FROM jobs WHERE end_time IS NOT NULL ORDER BY end_time, position LIMIT ?"
OLDEST_END = "SELECT min(end_time) FROM jobs WHERE end_time IS NOT NULL"
COUNT = "SELECT count(*) FROM jobs"
RESERVATIONS = f"SELECT {_RESERVATION} FROM reservations ORDER BY position"
ADD = f"INSERT INTO jobs ({_JOB}) VALUES ({', '.join('?' * len(JOB_COLUMNS))})"
REPLACE = f"UPDATE jobs SET {', '.join(f'{column} = ?' for column in JOB_COLUMNS)} WHERE id = ?"
DELETE = "DELETE FROM jobs WHERE id = ?"
RESERVE = f"INSERT INTO reservations ({_RESERVATION}) VALUES ({', '.join('?' * len(RESERVATION_COLUMNS))})"
RELEASE = "DELETE FROM reservations WHERE id = ?"
