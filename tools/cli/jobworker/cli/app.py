"""Owns the course of one command, from its words to its exit code; knows no verb's work."""

# ruff: noqa: PLC0415 - a verb brings gRPC along, most of the start-up time, so only the one asked for is imported

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jobworker.cli import options as command_line
from jobworker.cli import process
from jobworker.cli.errors import CliError, ToldError
from jobworker.cli.output import STDERR, STDOUT, Output
from jobworker.cli.postponed import postponed
from jobworker.cli.quoting import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jobworker.cli.options import Options
    from jobworker.client.sync import Client

    Verb = Callable[[Client, Options, Output, Output], None]

_INTERRUPTED = 130


def main(words: Sequence[str], out: Output | None = None, err: Output | None = None) -> int:
    """Does what the words of a command line ask for.

    Args:
        words: the command line without the program's name.
        out: where results go; by default stdout.
        err: where errors go; by default stderr.

    Returns:
        The exit code.

    Raises:
        SystemExit: help or the version was asked for and has been printed.
    """
    out, err = out or Output(STDOUT), err or Output(STDERR)
    try:
        options = command_line.parse(words, _typed_in())
        _run(options, out, err)
    except ToldError as error:
        return error.exit_code
    except CliError as error:
        err.say(printable(str(error)))
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def _typed_in() -> str:
    """The folder in which the user typed the command; `bazel run` starts programs elsewhere."""
    return os.environ.get("BUILD_WORKING_DIRECTORY", "")


def _run(options: Options, out: Output, err: Output) -> None:
    process.hold_standard_streams()
    process.set_grpc_up(debug=options.debug)
    with process.quick_imports(), postponed():
        from jobworker.cli.connection import connect

        verb = _verb(options)
    _set_log_up(debug=options.debug)
    with connect(options) as client:
        verb(client, options, out, err)


def _verb(options: Options) -> Verb:
    match options.verb:
        case "start":
            from jobworker.cli import start

            return start.run
        case "stop":
            from jobworker.cli import stop

            return stop.run
        case "status":
            from jobworker.cli import status

            return status.run
        case "logs":
            from jobworker.cli import logs

            return logs.run
        case "rm":
            from jobworker.cli import rm

            return rm.run
        case "list":
            from jobworker.cli import list as list_

            return list_.run


def _set_log_up(*, debug: bool) -> None:
    import logging

    if debug:
        logging.basicConfig(level=logging.DEBUG, format="worker-cli: %(levelname)s %(name)s: %(message)s")
    else:
        logging.disable()  # gRPC's, too
