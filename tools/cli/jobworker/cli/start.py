"""Does `worker-cli start`: starts a job and prints its id."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from jobworker.cli.connection import connect
from jobworker.v1.job_worker_pb2 import StartJobRequest

if TYPE_CHECKING:
    from jobworker.cli.options import Options
    from jobworker.cli.output import Output


def run(options: Options, out: Output, err: Output) -> None:  # noqa: ARG001 - every verb is called alike
    """Starts the command that the options name, and prints the job's id and nothing else.

    Raises:
        CliError: no job was started, or its id could not be printed.
    """
    # With a request id, a repeated request does not start a second job.
    request = StartJobRequest(command=options.command, request_id=str(uuid.uuid4()))
    with connect(options) as service:
        out.write(f"{service.StartJob(request).job.id}\n".encode())
