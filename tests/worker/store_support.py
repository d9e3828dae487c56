"""What the tests of job stores share: jobs that were never run."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from jobworker.worker import Exited, Job
from jobworker.worker.store import Reservation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from jobworker.worker import JobStore

NOW = datetime(2030, 1, 2, tzinfo=UTC)


def job(job_id: str = "", *, owner: str = "", principal: str = "", request_id: str | None = None) -> Job:
    """Returns a running job, with an id of its own unless one is given."""
    return Job(job_id or str(uuid.uuid4()), ("true",), NOW, owner, principal, request_id)


def reservation(
    job_id: str = "", *, owner: str = "", principal: str = "", request_id: str | None = None
) -> Reservation:
    """Returns a reservation, with an id of its own unless one is given."""
    return Reservation(job_id or str(uuid.uuid4()), ("true",), owner, principal, request_id)


def ended(one: Job, seconds: float = 1) -> Job:
    """Returns a job that exited with 0, so many seconds after `NOW`."""
    return one.ended(Exited(0), NOW + timedelta(seconds=seconds))


async def filled(store: JobStore, count: int) -> list[Job]:
    """Adds running jobs and returns them, newest first."""
    jobs = [job() for _ in range(count)]
    for one in jobs:
        await store.add(one)
    return jobs[::-1]


async def finished(store: JobStore, count: int) -> list[Job]:
    """Adds jobs that ended a second after each other and returns them, oldest first."""
    jobs = [ended(job(), second) for second in range(1, count + 1)]
    for one in jobs:
        await store.add(one)
    return jobs


async def pages(store: JobStore, size: int, *, visible_to: AbstractSet[str] | None = None) -> list[Sequence[Job]]:
    """Returns all pages from the newest to the last."""
    jobs, before = await store.page(size, None, visible_to=visible_to)
    found: list[Sequence[Job]] = [jobs]
    while before is not None:
        jobs, before = await store.page(size, before, visible_to=visible_to)
        found.append(jobs)
    return found
