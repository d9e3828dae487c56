"""The reservations of a job store, in memory: starts under way, whose ids are taken; no I/O and no event loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from jobworker.worker.store import Reservation


@final
@dataclass(slots=True)
class Reservations:
    """Reservations, each of which takes a job id and the principal's request id."""

    _by_id: dict[str, Reservation] = field(default_factory=dict)
    _by_request: dict[tuple[str, str], str] = field(default_factory=dict)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._by_id

    def take(self, reservation: Reservation) -> None:
        """Adds a reservation, as the newest.

        Raises:
            ValueError: If the job id, or the principal's request id, is reserved already; a bug of the caller's.
        """
        if reservation.job_id in self._by_id:
            raise ValueError(f"the start of job {reservation.job_id} is reserved already")
        self.check(reservation.job_id, reservation.principal, reservation.request_id)
        self._by_id[reservation.job_id] = reservation
        if reservation.request_id is not None:
            self._by_request[reservation.principal, reservation.request_id] = reservation.job_id

    def check(self, job_id: str, principal: str, request_id: str | None) -> None:
        """Does nothing if a job may have this principal's request id, as far as reservations go.

        Raises:
            ValueError: If it is reserved for another job; a bug of the caller's.
        """
        if request_id is not None and self._by_request.get((principal, request_id), job_id) != job_id:
            raise ValueError(f"request {request_id} of job {job_id} is reserved for another job")

    def end(self, job_id: str) -> bool:
        """Takes a job's reservation away, and returns whether there was one."""
        reservation = self._by_id.pop(job_id, None)
        if reservation is not None and reservation.request_id is not None:
            del self._by_request[reservation.principal, reservation.request_id]
        return reservation is not None

    def all(self) -> tuple[Reservation, ...]:
        """Returns all reservations, oldest first."""
        return tuple(self._by_id.values())
