"""Writing all bytes, however the other side takes them."""

from __future__ import annotations

import hashlib
import os
import random
import threading

import pytest

from jobworker.cli.errors import OutputError
from jobworker.cli.output import Output


@pytest.mark.parametrize("blocking", [True, False])
def test_all_bytes_go_through_a_pipe(blocking: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A pipe that takes little at a time, and one that does not block, gets every byte once."""
    content = random.Random(1).randbytes(3_000_000)  # noqa: S311 - no secret
    ours, theirs = os.pipe()
    os.set_blocking(theirs, blocking)
    digest = hashlib.sha256()

    def read() -> None:
        while block := os.read(ours, 1000):
            digest.update(block)

    reader = threading.Thread(target=read)
    reader.start()
    Output(theirs).write(content)
    os.close(theirs)
    reader.join()
    os.close(ours)
    assert digest.digest() == hashlib.sha256(content).digest()


def test_a_full_disk_is_an_error() -> None:
    """What could not be written is told."""
    with open("/dev/full", "wb") as full, pytest.raises(OutputError, match="No space left on device"):  # noqa: PTH123
        Output(full.fileno()).write(b"x")


def test_a_closed_output_is_an_error() -> None:
    """So is an output that is not there."""
    ours, theirs = os.pipe()
    os.close(ours)
    os.close(theirs)
    with pytest.raises(OutputError, match="Bad file descriptor"):
        Output(theirs).write(b"x")


def test_what_is_said_is_one_line() -> None:
    """Lines of the program's own begin with its name."""
    ours, theirs = os.pipe()
    Output(theirs).say("hello")
    assert os.read(ours, 100) == b"worker-cli: hello\n"
    os.close(ours)
    os.close(theirs)


def test_nobody_listening_is_no_error() -> None:
    """A message for which there is no reader is dropped; the work goes on."""
    ours, theirs = os.pipe()
    os.close(ours)
    Output(theirs).say("hello")
    os.close(theirs)


def test_columns_of_a_terminal_and_of_a_pipe() -> None:
    """Only a terminal has a width."""
    controller, terminal = os.openpty()
    os.environ.pop("COLUMNS", None)
    ours, theirs = os.pipe()
    assert Output(theirs).columns() is None
    assert Output(terminal).columns() is None, "a new pseudo-terminal has no size yet"
    for descriptor in (controller, terminal, ours, theirs):
        os.close(descriptor)
