"""Does `worker-cli list`: prints a table of all jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobworker.cli import table

if TYPE_CHECKING:
    from jobworker.cli.options import Options
    from jobworker.cli.output import Output
    from jobworker.client.sync import Client

# What is shown of a page comes at once; a larger one would only come later.
_PAGE_SIZE = 100


def run(client: Client, options: Options, out: Output, err: Output) -> None:  # noqa: ARG001 - every verb is called alike
    """Prints all jobs, newest first, each page as it comes.

    Raises:
        CallError: the service said no, or was not reached.
        CliError: the jobs could not be printed.
    """
    heading, columns, token = table.HEADER, out.columns(), ""
    while True:
        page = client.page(_PAGE_SIZE, token)
        rows = [table.row(job, time.time(), columns) for job in page.jobs]
        out.write((heading + "".join(rows)).encode())
        if not page.next_page_token:
            return
        heading, token = "", page.next_page_token
