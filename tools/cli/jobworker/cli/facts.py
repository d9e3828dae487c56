"""Lays out what status shows of one job; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobworker.cli.quoting import printable, shell_command
from jobworker.cli.words import duration, local_time_with_zone, signal_text, status_word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker.v1.job_worker_pb2 import Job

_LABEL_WIDTH = 16


def facts(job: Job, now: float) -> str:
    """Returns the facts of a job, one a line; what does not apply is left out.

    Args:
        job: the job.
        now: the time, in seconds since 1970.
    """
    return "".join(f"{label + ':':{_LABEL_WIDTH}}{value}\n" for label, value in _facts(job, now))


def _facts(job: Job, now: float) -> Iterator[tuple[str, str]]:
    yield "id", printable(job.id)
    yield "status", status_word(job)
    yield "command", shell_command(tuple(job.command))
    match job.WhichOneof("outcome"):
        case "exit_code":
            yield "exit code", str(job.exit_code)
        case "signal":
            yield "signal", signal_text(job.signal)
        case "lost":
            yield "lost", printable(job.lost.reason)
    yield "started", local_time_with_zone(job.start_time)
    if job.HasField("end_time"):
        yield "ended", local_time_with_zone(job.end_time)
    if job.termination.killed_processes:
        yield "killed at end", _processes(job.termination.killed_processes)
    yield "duration", duration(job, now)
    if job.HasField("stop_request_time"):
        yield "stop requested", local_time_with_zone(job.stop_request_time)
    yield "stdout", f"{job.stdout_bytes} bytes"
    yield "stderr", f"{job.stderr_bytes} bytes"
    # Another name than the certificate's; none of a daemon that has no names.
    if job.principal not in {"", job.owner}:
        yield "principal", printable(job.principal)
    yield "owner", printable(job.owner)


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"
