"""Does `worker-cli status`: prints what is known of a job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobworker.cli.connection import connect
from jobworker.cli.facts import facts
from jobworker.v1.job_worker_pb2 import GetJobRequest

if TYPE_CHECKING:
    from jobworker.cli.options import Options
    from jobworker.cli.output import Output


def run(options: Options, out: Output, err: Output) -> None:  # noqa: ARG001 - every verb is called alike
    """Prints the facts of the job that the options name.

    Raises:
        CliError: there is no such job, or its facts could not be printed.
    """
    with connect(options) as service:
        job = service.GetJob(GetJobRequest(job_id=options.job_id)).job
        out.write(facts(job, time.time()).encode())
