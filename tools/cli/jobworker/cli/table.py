"""Lays out what list shows, row by row with fixed widths, so that pages can be shown as they come; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobworker.cli.quoting import printable, shell_command
from jobworker.cli.words import duration, local_time, status_word

if TYPE_CHECKING:
    from jobworker.v1.job_worker_pb2 import Job

_LAYOUT = "{:36}  {:9}  {:19}  {:>8}  "
_LEAST_COMMAND = 10

HEADER = _LAYOUT.format("ID", "STATUS", "STARTED", "DURATION") + "COMMAND\n"


def row(job: Job, now: float, columns: int | None) -> str:
    """Returns the row of a job.

    Args:
        job: the job.
        now: the time, in seconds since 1970.
        columns: the width of the terminal, to which the command is cut; None to keep it whole.
    """
    facts = _LAYOUT.format(printable(job.id), status_word(job), local_time(job.start_time), duration(job, now))
    command = shell_command(tuple(job.command))
    if columns is not None:
        command = _cut(command, max(columns - len(facts), _LEAST_COMMAND))
    return f"{facts}{command}\n"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
