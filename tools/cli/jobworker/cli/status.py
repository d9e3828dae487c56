"""Does `worker-cli status`: prints what is known of a job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobworker.cli.facts import facts
from jobworker.v1.job_worker_pb2 import GetJobRequest

if TYPE_CHECKING:
    from jobworker.cli.options import Options
    from jobworker.cli.output import Output
    from jobworker.v1.job_worker_pb2_grpc import JobWorkerServiceStub


def run(service: JobWorkerServiceStub, options: Options, out: Output, err: Output) -> None:  # noqa: ARG001 - every verb is called alike
    """Prints the facts of the job that the options name.

    Raises:
        grpc.RpcError: the service said no, or was not reached.
        CliError: the facts could not be printed.
    """
    job = service.GetJob(GetJobRequest(job_id=options.job_id)).job
    out.write(facts(job, time.time()).encode())
