"""Makes the requests that both faces send; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobworker.v1.job_worker_pb2 import StartJobRequest, StopJobRequest

if TYPE_CHECKING:
    from collections.abc import Sequence


def start_request(command: Sequence[str], request_id: str | None) -> StartJobRequest:
    """Returns a request to start a job.

    Args:
        command: the program and its arguments.
        request_id: a UUID; None to make one; empty to have none.
    """
    if request_id is None:
        # Who starts no job need not wait for uuid.
        from jobworker.client.request_ids import fresh_request_id  # noqa: PLC0415

        request_id = fresh_request_id()
    return StartJobRequest(command=command, request_id=request_id)


def stop_request(job_id: str, grace: float) -> StopJobRequest:
    """Returns a request to stop a job, which may take that many seconds to end by itself."""
    request = StopJobRequest(job_id=job_id)
    if nanoseconds := round(grace * 1e9):
        request.grace_period.FromNanoseconds(nanoseconds)
    return request
