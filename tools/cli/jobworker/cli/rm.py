"""Does `worker-cli rm`: deletes ended jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobworker.cli.connection import explain
from jobworker.cli.errors import RefusedError, ToldError
from jobworker.cli.quoting import printable, shell_command
from jobworker.client.errors import CallError

if TYPE_CHECKING:
    from jobworker.cli.errors import CliError
    from jobworker.cli.options import Options
    from jobworker.cli.output import Output
    from jobworker.client.sync import Client

# What one job is refused with for these, all others would be too.
_CODES_FOR_ALL = {"PERMISSION_DENIED", "UNIMPLEMENTED"}


def run(client: Client, options: Options, out: Output, err: Output) -> None:  # noqa: ARG001 - every verb is called alike
    """Deletes the jobs that the options name, in their order, and prints nothing but which could not be.

    Raises:
        CliError: the service was not reached, or deletes nothing for this user; the jobs that follow are left alone.
        ToldError: some could not be deleted, and the user knows which and why.
    """
    all_deleted = True
    for job_id in options.job_ids:
        try:
            client.delete(job_id)
        except CallError as error:
            failure = _failure(error, options._replace(job_id=job_id))
            if not isinstance(failure, RefusedError) or error.code.name in _CODES_FOR_ALL:
                raise failure from error
            err.say(printable(str(failure)))
            all_deleted = False
    if not all_deleted:
        raise ToldError


def _failure(error: CallError, options: Options) -> CliError:
    """The error to show for a job that was not deleted."""
    explained = explain(error, options)
    return type(explained)(f"cannot delete {shell_command((options.job_id,))}: {explained}")
