"""Does `worker-cli stop`: ends a job and prints its status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobworker.cli.words import status_word

if TYPE_CHECKING:
    from jobworker.cli.options import Options
    from jobworker.cli.output import Output
    from jobworker.client.sync import Client


def run(client: Client, options: Options, out: Output, err: Output) -> None:  # noqa: ARG001 - every verb is called alike
    """Stops the job that the options name, waits until it no longer runs, and prints its status.

    Raises:
        CallError: the service said no, or was not reached.
        CliError: the status could not be printed.
    """
    out.write(f"{status_word(client.stop(options.job_id, grace=options.grace))}\n".encode())
