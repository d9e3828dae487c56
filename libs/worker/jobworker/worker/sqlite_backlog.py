"""What the SQLite job store has to write: at once, or else, the disk being full or the file locked, when it can."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, final

from jobworker.worker import sqlite_statements as sql
from jobworker.worker.errors import JobStoreError, ResourceExhaustedError
from jobworker.worker.sqlite_errors import is_damage
from jobworker.worker.sqlite_rows import change_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker.worker.job import Job
    from jobworker.worker.sqlite_database import Database, Statement

_MOST_SAVED = 200
"""How many jobs one transaction writes that could not be written before: some 10 ms of the event loop's time."""


@final
class Backlog:
    """The transactions of one store, and what waits for the next one that succeeds.

    Attributes:
        jobs: The jobs not yet written as they are: right, whatever their rows say.
    """

    def __init__(self, database: Database) -> None:
        self.jobs: dict[str, Job] = {}
        self._released: set[str] = set()  # reservations that are no more, and are not yet deleted
        self._database = database

    def __repr__(self) -> str:
        return f"<Backlog jobs={len(self.jobs)} released={len(self._released)}>"

    def clear(self) -> None:
        """Forgets what waits."""
        self.jobs.clear()
        self._released.clear()

    def write(self, *statements: Statement) -> int:
        """Executes statements as one transaction, see `Database.write`; then writes some of what waits."""
        changed = self._transact(*statements)
        self._save_more()
        return changed

    def replace(self, job: Job) -> None:
        """Writes a job in place of the one of its id, or lets it wait; from here on this is the job.

        Raises:
            JobStoreError: If it never can be written, since the file is damaged.
        """
        self.jobs[job.id] = job
        self._save_if_possible(job)

    def release(self, job_id: str) -> None:
        """Deletes a reservation, or lets that wait.

        Raises:
            JobStoreError: If it never can be deleted, since the file is damaged.
        """
        self._released.add(job_id)
        self._save_if_possible()

    def end(self) -> None:
        """Writes all that waits, even if the event loop stands still meanwhile: now or never.

        Raises:
            JobStoreError, ResourceExhaustedError: If it can't be written; then it is lost to the store.
        """
        while self.jobs or self._released:
            self._database.wait_longer()
            self._save(*self._some())

    def _save_if_possible(self, *jobs: Job) -> None:
        """Writes what has changed; not if there is no room for it now, or the file is locked."""
        try:
            self._save(*jobs)
        except (ResourceExhaustedError, JobStoreError) as error:
            if is_damage(error.__cause__):
                raise
        else:
            self._save_more()

    def _save_more(self) -> None:
        """Writes some of what could not be written before; something else was, so the time may have come."""
        if self.jobs:
            with suppress(ResourceExhaustedError, JobStoreError):
                self._save(*self._some())

    def _some(self) -> Iterator[Job]:
        return islice(self.jobs.values(), _MOST_SAVED)

    def _save(self, *jobs: Job) -> None:
        self._transact(*((sql.REPLACE, (*change_row(job), job.id)) for job in jobs))
        for job in jobs:
            del self.jobs[job.id]

    def _transact(self, *statements: Statement) -> int:
        # First of all, so that no file has two reservations of one request.
        released = [(sql.RELEASE, (job_id,)) for job_id in self._released]
        changed = self._database.write(*released, *statements)
        self._released.clear()
        return changed
