"""Does `worker-cli stop`: ends a job and prints its status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobworker.cli.words import status_word
from jobworker.v1.job_worker_pb2 import StopJobRequest

if TYPE_CHECKING:
    from jobworker.cli.options import Options
    from jobworker.cli.output import Output
    from jobworker.v1.job_worker_pb2_grpc import JobWorkerServiceStub


def run(service: JobWorkerServiceStub, options: Options, out: Output, err: Output) -> None:  # noqa: ARG001 - every verb is called alike
    """Stops the job that the options name, waits until it no longer runs, and prints its status.

    Raises:
        grpc.RpcError: the service said no, or was not reached.
        CliError: the status could not be printed.
    """
    request = StopJobRequest(job_id=options.job_id)
    if nanoseconds := round(options.grace * 1e9):
        request.grace_period.FromNanoseconds(nanoseconds)
    out.write(f"{status_word(service.StopJob(request).job)}\n".encode())
