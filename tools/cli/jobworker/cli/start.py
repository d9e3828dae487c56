"""Does `worker-cli start`: starts a job and prints its id."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from jobworker.v1.job_worker_pb2 import StartJobRequest

if TYPE_CHECKING:
    from jobworker.cli.options import Options
    from jobworker.cli.output import Output
    from jobworker.v1.job_worker_pb2_grpc import JobWorkerServiceStub


def run(service: JobWorkerServiceStub, options: Options, out: Output, err: Output) -> None:  # noqa: ARG001 - every verb is called alike
    """Starts the command that the options name, and prints the job's id and nothing else.

    Raises:
        grpc.RpcError: the service said no, or was not reached.
        CliError: the id could not be printed.
    """
    # With a request id, a repeated request does not start a second job.
    request = StartJobRequest(command=options.command, request_id=str(uuid.uuid4()))
    out.write(f"{service.StartJob(request).job.id}\n".encode())
