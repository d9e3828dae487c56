"""Does `worker-cli list`: prints a table of all jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobworker.cli import table
from jobworker.v1.job_worker_pb2 import ListJobsRequest

if TYPE_CHECKING:
    from jobworker.cli.options import Options
    from jobworker.cli.output import Output
    from jobworker.v1.job_worker_pb2_grpc import JobWorkerServiceStub

# What is shown of a page comes at once; a larger one would only come later.
_PAGE_SIZE = 100


def run(service: JobWorkerServiceStub, options: Options, out: Output, err: Output) -> None:  # noqa: ARG001 - every verb is called alike
    """Prints all jobs, newest first, each page as it comes.

    Raises:
        grpc.RpcError: the service said no, or was not reached.
        CliError: the jobs could not be printed.
    """
    heading, columns, request = table.HEADER, out.columns(), ListJobsRequest(page_size=_PAGE_SIZE)
    while True:
        page = service.ListJobs(request)
        rows = [table.row(job, time.time(), columns) for job in page.jobs]
        out.write((heading + "".join(rows)).encode())
        if not page.next_page_token:
            return
        heading, request.page_token = "", page.next_page_token
