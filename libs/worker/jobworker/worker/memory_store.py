"""The job store of a worker whose jobs are not to outlive it: this process's memory."""

from __future__ import annotations

import bisect
import heapq
import secrets
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, ClassVar, final

from jobworker.worker.errors import AmbiguousJobIdError, JobNotFoundError
from jobworker.worker.reservations import Reservations
from jobworker.worker.running_jobs import RunningJobs
from jobworker.worker.store import MAX_SURPLUS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from jobworker.worker.job import Job
    from jobworker.worker.store import Reservation


@final
@dataclass(slots=True)
class _Index:
    """Jobs by their position and by their id: all of them, or those of one principal."""

    _positions: list[int] = field(default_factory=list)
    _ids: list[str] = field(default_factory=list)

    def insert(self, job_id: str, position: int) -> None:
        """Adds a job, as the newest."""
        self._positions.append(position)
        bisect.insort(self._ids, job_id)

    def remove(self, job_id: str, position: int) -> bool:
        """Takes a job away, and returns whether others are left."""
        del self._positions[bisect.bisect_left(self._positions, position)]
        del self._ids[bisect.bisect_left(self._ids, job_id)]
        return bool(self._ids)

    def matching(self, prefix: str) -> list[str]:
        """Returns the ids that begin with `prefix`, sorted."""
        first = bisect.bisect_left(self._ids, prefix)
        # "~" sorts after every character of an id.
        return self._ids[first : bisect.bisect_left(self._ids, prefix + "~", first)]

    def newest(self, size: int, before: int | None) -> list[int]:
        """Returns up to `size` positions, the highest first, that are smaller than `before` if that is one."""
        end = len(self._positions) if before is None else bisect.bisect_left(self._positions, before)
        return self._positions[max(0, end - size) : end][::-1]


@final
@dataclass(slots=True)
class MemoryJobStore:
    """A `JobStore` in this process's memory, forgotten with it."""

    is_durable: ClassVar[bool] = False

    # By position, or positions; every list is sorted.
    _jobs: dict[int, Job] = field(default_factory=dict)
    _positions: dict[str, int] = field(default_factory=dict)
    _all: _Index = field(default_factory=_Index)
    _by_principal: defaultdict[str, _Index] = field(default_factory=lambda: defaultdict(_Index))
    _requests: dict[tuple[str, str], int] = field(default_factory=dict)
    _running: RunningJobs = field(default_factory=RunningJobs)
    _ended: list[tuple[datetime, int]] = field(default_factory=list)
    _reserved: Reservations = field(default_factory=Reservations)
    _last: int = 0
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def __repr__(self) -> str:
        return f"<MemoryJobStore jobs={len(self._jobs)} running={len(self._running)}>"

    async def __aenter__(self) -> Self:
        """See `JobStore`."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """See `JobStore`."""

    async def reserve(self, reservation: Reservation) -> None:
        """See `JobStore.reserve`."""
        self._check_new(reservation.job_id, reservation.principal, reservation.request_id)
        self._reserved.take(reservation)

    async def release(self, job_id: str) -> None:
        """See `JobStore.release`."""
        self._reserved.end(job_id)

    async def reservations(self) -> tuple[Reservation, ...]:
        """See `JobStore.reservations`."""
        return self._reserved.all()

    async def add(self, job: Job) -> None:
        """See `JobStore.add`."""
        self._check_new(job.id, job.principal, job.request_id)
        self._reserved.check(job.id, job.principal, job.request_id)
        self._reserved.end(job.id)
        self._last += 1
        self._positions[job.id] = self._last
        self._all.insert(job.id, self._last)
        self._by_principal[job.principal].insert(job.id, self._last)
        if job.request_id is not None:
            self._requests[job.principal, job.request_id] = self._last
        self._jobs[self._last] = job
        self._note(job, self._last)

    async def replace(self, job: Job) -> None:
        """See `JobStore.replace`."""
        position = self._position(job.id)
        self._forget_end(self._jobs[position], position)
        self._jobs[position] = job
        self._note(job, position)

    async def delete(self, job_id: str) -> None:
        """See `JobStore.delete`."""
        position = self._position(job_id)
        job = self._jobs.pop(position)
        self._running.forget(job_id)
        self._forget_end(job, position)
        del self._positions[job_id]
        self._all.remove(job_id, position)
        if not self._by_principal[job.principal].remove(job_id, position):
            del self._by_principal[job.principal]
        if job.request_id is not None:
            del self._requests[job.principal, job.request_id]

    async def find(self, prefix: str, *, visible_to: AbstractSet[str] | None = None) -> Job:
        """See `JobStore.find`."""
        matching = list(chain.from_iterable(index.matching(prefix) for index in self._indexes(visible_to)))
        if not matching:
            raise JobNotFoundError(prefix)
        # The id itself sorts before all that begin with it.
        first = min(matching)
        if len(matching) > 1 and first != prefix:
            raise AmbiguousJobIdError(prefix, len(matching))
        return self._jobs[self._positions[first]]

    async def find_request(self, principal: str, request_id: str) -> Job | None:
        """See `JobStore.find_request`."""
        position = self._requests.get((principal, request_id))
        return None if position is None else self._jobs[position]

    async def page(
        self, size: int, before: int | None, *, visible_to: AbstractSet[str] | None = None
    ) -> tuple[tuple[Job, ...], int | None]:
        """See `JobStore.page`."""
        newest = [index.newest(size + 1, before) for index in self._indexes(visible_to)]
        positions = list(islice(heapq.merge(*newest, reverse=True), size + 1))
        jobs = tuple(self._jobs[position] for position in positions[:size])
        return jobs, positions[size - 1] if len(positions) > size else None

    async def running(self) -> tuple[Job, ...]:
        """See `JobStore.running`."""
        return self._running.all()

    async def running_counts(self) -> Mapping[str, int]:
        """See `JobStore.running_counts`."""
        return self._running.counts

    async def surplus(self, keep: int | None, ended_before: datetime | None) -> tuple[Job, ...]:
        """See `JobStore.surplus`."""
        excess = 0 if keep is None else len(self._ended) - keep
        aged = 0 if ended_before is None else bisect.bisect_left(self._ended, (ended_before, 0))
        return tuple(self._jobs[position] for _, position in self._ended[: min(MAX_SURPLUS, max(0, excess, aged))])

    async def oldest_end(self) -> datetime | None:
        """See `JobStore.oldest_end`."""
        return self._ended[0][0] if self._ended else None

    def secret(self) -> bytes:
        """See `JobStore.secret`."""
        return self._secret

    def unsaved(self) -> frozenset[str]:
        """See `JobStore.unsaved`."""
        return frozenset()

    def _indexes(self, visible_to: AbstractSet[str] | None) -> list[_Index]:
        if visible_to is None:
            return [self._all]
        return [self._by_principal[principal] for principal in visible_to if principal in self._by_principal]

    def _check_new(self, job_id: str, principal: str, request_id: str | None) -> None:
        if job_id in self._positions or (request_id is not None and (principal, request_id) in self._requests):
            raise ValueError(f"job {job_id} or its request id is in the store already")

    def _position(self, job_id: str) -> int:
        if job_id not in self._positions:
            raise JobNotFoundError(job_id)
        return self._positions[job_id]

    def _note(self, job: Job, position: int) -> None:
        self._running.note(job)
        if job.end_time is not None:
            bisect.insort(self._ended, (job.end_time, position))

    def _forget_end(self, job: Job, position: int) -> None:
        if job.end_time is not None:
            del self._ended[bisect.bisect_left(self._ended, (job.end_time, position))]
