"""Does `worker-cli logs`: writes a job's output, byte for byte, also across broken connections."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from jobworker.cli import errors
from jobworker.cli.quoting import printable
from jobworker.client.errors import GaveUpError, JobDeletedError
from jobworker.client.frames import STDERR, STDOUT, Data, Gap, Interruption
from jobworker.client.settings import PATIENCE

if TYPE_CHECKING:
    from jobworker.cli.options import Options
    from jobworker.cli.output import Output
    from jobworker.client.frames import Frame
    from jobworker.client.position import Position
    from jobworker.client.reading import Clock
    from jobworker.client.sync import Client

_STREAMS = {"stdout": STDOUT, "stderr": STDERR}


def run(client: Client, options: Options, out: Output, err: Output, clock: Clock | None = None) -> None:
    """Writes the output that the options name, from where they say, and follows it unless told not to.

    Args:
        client: the service to read from.
        options: which job and stream, where to begin, and whether to follow.
        out: where the bytes go.
        err: where the user is told of broken connections and of output that is gone.
        clock: what the pauses between calls go by; by default the system's.

    Raises:
        RefusedError: the job was deleted.
        UnreachableError: the connection did not come back.
        CliError: the output is refused.
        CallError: the service said no, was not reached, or broke its contract.
    """
    out.die_with_reader()
    frames = client.follow(
        options.job_id,
        _STREAMS[options.stream],
        options.offset,
        tail_lines=options.tail,
        until_final=options.follow,
        clock=clock,
    )
    try:
        with contextlib.closing(frames):
            for frame in frames:
                _show(frame, options, out, err)
    except JobDeletedError as error:
        raise errors.RefusedError(
            f"job {error.job_id} was deleted, and its output with it; the reading of its {options.stream} was "
            f"{error.position.reached()}"
        ) from error
    except GaveUpError as error:
        raise errors.UnreachableError(
            f"lost {options.address} for {PATIENCE:.0f} s and gave up {error.position.reached()} "
            f"({error.cause.message}); what came before is written; see whether worker-daemon runs, and "
            f"{_advice(error.position)}"
        ) from error


def _show(frame: Frame | Interruption, options: Options, out: Output, err: Output) -> None:
    match frame:
        case Data():
            out.write(frame.content)
        case Gap():
            err.say(
                f"bytes {frame.start} to {frame.end} of {options.stream} are gone: the daemon released them to keep "
                "the log within its limit"
            )
        case Interruption(first=True):
            err.say(
                printable(
                    f"lost {options.address} {frame.reached} ({frame.cause.message}); "
                    f"reconnecting for up to {PATIENCE:.0f} s, Ctrl-C ends it"
                )
            )


def _advice(position: Position) -> str:
    """How the user can go on with the reading."""
    return f"read on with --offset={position.offset}" if position.tail_lines is None else "read again"
