"""Does `worker-cli start`: starts a job and prints its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobworker.cli.options import Options
    from jobworker.cli.output import Output
    from jobworker.client.sync import Client


def run(client: Client, options: Options, out: Output, err: Output) -> None:  # noqa: ARG001 - every verb is called alike
    """Starts the command that the options name, and prints the job's id and nothing else.

    Raises:
        CallError: the service said no, or was not reached.
        CliError: the id could not be printed.
    """
    out.write(f"{client.start(options.command).id}\n".encode())
