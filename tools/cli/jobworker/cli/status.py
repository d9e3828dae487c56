"""Does `worker-cli status`: prints what is known of a job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobworker.cli.facts import facts

if TYPE_CHECKING:
    from jobworker.cli.options import Options
    from jobworker.cli.output import Output
    from jobworker.client.sync import Client


def run(client: Client, options: Options, out: Output, err: Output) -> None:  # noqa: ARG001 - every verb is called alike
    """Prints the facts of the job that the options name.

    Raises:
        CallError: the service said no, or was not reached.
        CliError: the facts could not be printed.
    """
    out.write(facts(client.get(options.job_id), time.time()).encode())
