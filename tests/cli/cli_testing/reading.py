"""Reads a log in this process with a clock of the test's own, and says what a resumed read has to ask for."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from cli_testing.command import Result
from cli_testing.service import JOB_ID
from jobworker.cli import errors, logs
from jobworker.cli.connection import connect
from jobworker.cli.options import parse
from jobworker.cli.output import Output
from jobworker.client.reading import Clock
from jobworker.v1 import job_worker_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli_testing.service import ScriptedService


def read_with(client: list[str], clock: Clock, *words: str) -> Result:
    """Follows a job's stdout."""
    options = parse([*client, "logs", "stdout", "5a2e", *words], "")
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            with connect(options) as service:
                logs.run(service, options, Output(out.fileno()), Output(err.fileno()), clock)
            code, message = 0, ""
        except errors.CliError as error:
            code, message = error.exit_code, str(error)
        said = os.pread(err.fileno(), 10_000, 0).decode()
        return Result(code, os.pread(out.fileno(), os.fstat(out.fileno()).st_size, 0), said + message)


def no_pauses(then: Callable[[], None] = lambda: None) -> Clock:
    """Returns a clock that stands still and whose pauses only do something."""
    return Clock(now=lambda: 0.0, wait=lambda _: then())


def reads(service: ScriptedService) -> list[pb.ReadLogsRequest]:
    """Returns what was asked of ReadLogs."""
    return [request for request in service.requests if isinstance(request, pb.ReadLogsRequest)]


def from_byte(offset: int) -> pb.ReadLogsRequest:
    """Returns a follow of stdout that begins at a byte."""
    return pb.ReadLogsRequest(job_id=JOB_ID, stream=pb.LOG_STREAM_STDOUT, follow=True, offset=offset)


def last(lines: int) -> pb.ReadLogsRequest:
    """Returns a follow of stdout that begins some lines before the end."""
    return pb.ReadLogsRequest(job_id=JOB_ID, stream=pb.LOG_STREAM_STDOUT, follow=True, tail_lines=lines)
