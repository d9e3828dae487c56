"""Writes bytes to a file descriptor, all of them, without a buffer of its own; knows nothing of jobs."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import threading
from typing import final

from jobworker.cli.errors import OutputError

STDOUT = 1
STDERR = 2


@final
class Output:
    """One of the program's outputs."""

    def __init__(self, descriptor: int) -> None:
        """Takes a file descriptor, which stays the caller's."""
        self._descriptor = descriptor

    def __repr__(self) -> str:
        """Names the file descriptor."""
        return f"<Output {self._descriptor}>"

    def write(self, data: bytes) -> None:
        """Writes all of data, however long the other side takes, even if the file does not block.

        Raises:
            OutputError: it cannot be written.
        """
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._write_some(rest) :]
        except OSError as error:
            raise OutputError(f"cannot write the output: {error.strerror}") from error

    def say(self, text: str) -> None:
        """Writes a line of the program's own, if there is anyone to read it."""
        with contextlib.suppress(OutputError):
            self.write(f"worker-cli: {text}\n".encode(errors="backslashreplace"))

    def columns(self) -> int | None:
        """Returns the width of the terminal, or None if this is no terminal."""
        try:
            return os.get_terminal_size(self._descriptor).columns or None
        except OSError:
            return None

    def die_with_reader(self) -> None:
        """From now on, if the other side of the pipe is closed, ends the program even while it writes nothing."""
        with contextlib.suppress(OSError):
            mode = os.fstat(self._descriptor).st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
                threading.Thread(target=self._await_reader, name="reader", daemon=True).start()

    def _write_some(self, data: memoryview) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            poll = select.poll()
            poll.register(self._descriptor, select.POLLOUT)
            poll.poll()
            return 0

    def _await_reader(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, 0)  # errors are always reported
        poll.poll()
        os.kill(os.getpid(), signal.SIGPIPE)
