"""The program of every job: writes numbered, checksummed records to both streams as told, and ends as told.

It runs by its path, isolated, and imports the standard library alone. Plans import it for what it will have written.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import sys
import time
import zlib
from typing import NamedTuple, NoReturn

STREAMS = ("stdout", "stderr")

_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
MAX_TEXT_BYTES = 4096
_TEXT = _LETTERS * (MAX_TEXT_BYTES // len(_LETTERS) + 2)


class Step(NamedTuple):
    """Some records for one stream, one after the other."""

    stream: str
    """`stdout` or `stderr`."""
    is_binary: bool
    """Whether they are blocks of any bytes, or lines of letters."""
    records: int
    """How many records."""
    size: int
    """How many bytes each has beside its number and checksum; of a line `MAX_TEXT_BYTES` at most."""
    batch: int
    """How many of them go into one write(2)."""
    pause: float
    """How many seconds to wait after each write."""


class Ending(NamedTuple):
    """How a job ends."""

    exit_code: int = -1
    """What it exits with by itself; -1 if it doesn't."""
    signal: int = 0
    """What it kills itself with; 0 if it doesn't. A job that does neither waits until it is stopped."""
    term_code: int = -1
    """What it exits with when SIGTERM comes; -1 if it is left to the signal to end it."""


class Task(NamedTuple):
    """All that a job is to do."""

    number: int
    """Which job it is."""
    left: int
    """How many processes it leaves behind, each in a session of its own."""
    steps: tuple[Step, ...]
    ending: Ending


def record(number: int, stream: str, sequence: int, size: int, *, is_binary: bool) -> bytes:
    """Returns one record: whose it is, its place in its stream, so many bytes that depend on that, and their CRC-32.

    So any two pieces of all streams differ, and one that is lost, doubled, moved or another's can be told by itself.
    """
    head = b"%d %s %d " % (number, stream.encode(), sequence)
    if is_binary:
        block = head + hashlib.shake_128(head).digest(size)
        return block + zlib.crc32(block).to_bytes(4, "big")
    start = sequence % len(_LETTERS)
    line = head + _TEXT[start : start + size]
    return b"%s %08x\n" % (line, zlib.crc32(line))


def run(task: Task, runs: str) -> NoReturn:
    """Does all that a job is to do.

    Args:
        task: What that is.
        runs: The file that a line with the job's number is added to, so that each run of it is known.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _append(runs, b"%d\n" % task.number)
    ending = task.ending
    if ending.term_code >= 0:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(ending.term_code))
    for _ in range(task.left):
        os.posix_spawnp("sleep", ["sleep", "100000"], os.environ, setsid=True)
    _write_all(task)
    if ending.exit_code >= 0:
        os._exit(ending.exit_code)
    if ending.signal == signal.SIGKILL:
        os.kill(os.getpid(), signal.SIGKILL)
    if ending.signal:
        signal.signal(ending.signal, signal.SIG_DFL)  # Python handles some and ignores others
        os.kill(os.getpid(), ending.signal)
    while True:
        signal.pause()


def _write_all(task: Task) -> None:
    written = dict.fromkeys(STREAMS, 0)
    for step in task.steps:
        first = written[step.stream]
        written[step.stream] += step.records
        for start in range(first, first + step.records, step.batch):
            batch = range(start, min(start + step.batch, first + step.records))
            records = [record(task.number, step.stream, one, step.size, is_binary=step.is_binary) for one in batch]
            _write(1 + STREAMS.index(step.stream), b"".join(records))
            if step.pause:
                time.sleep(step.pause)


def _append(path: str, line: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        _write(descriptor, line)
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def encode(task: Task) -> str:
    """Returns a task as an argument for this program."""
    return json.dumps(task)


def decode(argument: str) -> Task:
    """Returns the task that `encode` made an argument of."""
    number, left, steps, ending = json.loads(argument)
    return Task(number, left, tuple(Step(*step) for step in steps), Ending(*ending))


if __name__ == "__main__":
    run(decode(sys.argv[2]), sys.argv[1])
