"""What people type at the CLI."""

from __future__ import annotations

import io
import math
from contextlib import redirect_stdout, suppress

from jobworker.cli import quantities
from jobworker.cli.address import target
from jobworker.cli.errors import WrongUsageError
from jobworker.cli.options import Options, parse
from jobworker.cli.quoting import printable, shell_command
from jobworker_fuzz.target import Target, text, words


def _arguments(data: bytes) -> None:
    typed = words(data)
    with redirect_stdout(io.StringIO()):
        try:
            options = parse(typed, "")
        except WrongUsageError:
            return
        except SystemExit:  # of --help and --version
            return
    assert isinstance(options, Options)
    assert math.isfinite(options.grace)
    assert options.offset >= 0
    # It all goes into messages of the API.
    for word in (*options.command, options.job_id, *options.job_ids):
        word.encode()


def _quantities(data: bytes) -> None:
    typed = data.decode(errors="surrogateescape")
    with suppress(WrongUsageError):
        number = quantities.whole("--offset", typed, "bytes")
        assert quantities.whole("--offset", str(number), "bytes") == number
    with suppress(WrongUsageError):
        assert 0 <= quantities.seconds("--grace", typed) < math.inf
    with suppress(WrongUsageError):
        assert target(typed) == f"dns:///{typed}"


def _quoting(data: bytes) -> None:
    said = text(data)
    for shown in (printable(said), shell_command(tuple(said.split("\n")))):
        assert shown.isprintable()


TARGETS = (
    Target("cli_arguments", _arguments),
    Target("cli_quantities", _quantities),
    Target("cli_quoting", _quoting),
)
"""The targets of the CLI."""
