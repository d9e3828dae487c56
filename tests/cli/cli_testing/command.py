"""Runs a command line in this process and returns all that a user would see."""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.cli.app import main
from jobworker.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence


@final
@dataclass(frozen=True, slots=True)
class Result:
    """What a command line gave.

    Attributes:
        code: the exit code.
        out: what was written to stdout.
        err: what was written to stderr.
    """

    code: int
    out: bytes
    err: str


def run(words: Sequence[str]) -> Result:
    """Does what a command line asks for."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            code = main(words, Output(out.fileno()), Output(err.fileno()))
        finally:
            logging.disable(logging.NOTSET)
        return Result(code, _content(out.fileno()), _content(err.fileno()).decode())


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
