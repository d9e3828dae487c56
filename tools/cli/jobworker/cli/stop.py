"""Does `worker-cli stop`: ends a job and prints its status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobworker.cli.connection import connect
from jobworker.cli.words import status_word
from jobworker.v1.job_worker_pb2 import StopJobRequest

if TYPE_CHECKING:
    from jobworker.cli.options import Options
    from jobworker.cli.output import Output


def run(options: Options, out: Output, err: Output) -> None:  # noqa: ARG001 - every verb is called alike
    """Stops the job that the options name, waits until it no longer runs, and prints its status.

    Raises:
        CliError: there is no such job, it could not be stopped, or its status could not be printed.
    """
    with connect(options) as service:
        job = service.StopJob(StopJobRequest(job_id=options.job_id)).job
        out.write(f"{status_word(job)}\n".encode())
