"""A real daemon as a child process, on a free port of the loopback."""

from __future__ import annotations

import os
import queue
import re
import select
import signal
import socket
import subprocess
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, final

from jobworker_testing.state_dirs import kill_supervisor, supervisor_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

_READY = re.compile(r"READY .*address=(\S+)")


class DaemonDiedError(Exception):
    """The daemon ended before it was ready; the message holds what it said."""


@final
class DaemonProcess:
    """A daemon that serves from entering the context to leaving it, with a state directory that it has to itself.

    Leaving the context also ends what goes on without it, as after a SIGKILL: its supervisor and its jobs.

    Attributes:
        address: Where it listens, host:port.
        lines: What it has written to stderr since its start.
        state_dir: Its state directory.
    """

    def __init__(
        self,
        program: Sequence[str],
        *options: str,
        state_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
        address: str = "127.0.0.1:0",
    ) -> None:
        """Prepares a daemon.

        Args:
            program: The command to run it with.
            *options: Further options; the address and the state directory are set already.
            state_dir: Its state directory, which is left as it is; None for a fresh one, removed at the end.
            environment: Variables to add to this process's. An empty JOBWORKER_STATE_DIR lets the daemon choose.
            address: Where it is to listen; each start takes another port unless told otherwise.
        """
        self._command = [*program, f"--address={address}", *options]
        self._environment = environment or {}
        self._given = state_dir
        self._stack = ExitStack()
        self.address = ""
        self.lines: list[str] = []

    def __repr__(self) -> str:
        return f"<DaemonProcess {self.address or 'not ready'}>"

    def __enter__(self) -> Self:
        """Starts it and waits until it is ready.

        Raises:
            DaemonDiedError: If it ends before that.
        """
        with ExitStack() as stack:
            self.state_dir = self._given or Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="jobworker-state-"))
            )
            stack.callback(self._end_jobs)
            self.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._stack:
            self.stop()

    def start(self) -> None:
        """Starts it, which `__enter__` does, and waits until it is ready; again, for one that has ended.

        Raises:
            DaemonDiedError: If it ends before that.
        """
        self._start(self._command, {})

    def _start(self, command: Sequence[str], more: Mapping[str, str]) -> None:
        self.lines = []
        self._fresh: queue.Queue[str | None] = queue.Queue()
        environment = {**os.environ, "JOBWORKER_STATE_DIR": str(self.state_dir), **self._environment, **more}
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
        )
        self._reading = threading.Thread(target=self._read, args=(self.process, self.lines, self._fresh))
        self._reading.start()
        try:
            self.address = self.wait_for_line(_READY)[1]
        except BaseException:
            self.stop()
            raise

    def _end_jobs(self) -> None:
        """Has another daemon end what its own left running, or kills it if there can't be one."""
        if supervisor_of(self.state_dir) is None:
            return
        try:
            self._start([word for word in self._command if word != "--keep-jobs"], {"JOBWORKER_KEEP_JOBS": "0"})
            self.stop()
        except DaemonDiedError:
            kill_supervisor(self.state_dir)

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        return self.process.pid

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends it a signal if it still runs, waits for its end, and returns its exit code."""
        self.signal(number)
        return self.wait()

    def signal(self, number: int) -> None:
        """Sends it a signal if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def wait(self) -> int:
        """Waits for its end and returns its exit code; negative for the signal that ended it."""
        code = self.process.wait()
        self._reading.join()
        if self.process.stderr:
            self.process.stderr.close()
        return code

    def wait_for_line(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Returns the match of the first line, of those not waited for yet, that has one.

        Raises:
            DaemonDiedError: If the daemon ends without such a line.
        """
        while (line := self._fresh.get()) is not None:
            if match := pattern.search(line):
                return match
        raise DaemonDiedError(f"{self._command}: no {pattern.pattern!r} in\n" + "".join(self.lines))

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: list[str], fresh: queue.Queue[str | None]) -> None:
        # Read to the end whoever waits: a full pipe would block the daemon.
        for line in process.stderr or ():
            lines.append(line)
            fresh.put(line)
        fresh.put(None)


@contextmanager
def logging_daemon(program: Sequence[str], *options: str, state_dir: Path) -> Iterator[tuple[str, int]]:
    """Runs a daemon whose log goes to a file, as a service's does, so that nobody has to read along.

    Args:
        program: The command to run it with.
        *options: Further options; the address and the state directory are set already.
        state_dir: Its state directory; the log is the file `log` in it.

    Yields:
        Where it listens, host:port, and its process id.

    Raises:
        DaemonDiedError: If it ends before it is ready.
    """
    command = [*program, "--address=127.0.0.1:0", f"--state-dir={state_dir}", *options]
    log = state_dir / "log"
    with log.open("wb") as stderr, _notifications() as (notifications, variable):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=stderr, env={**os.environ, **variable})
        try:
            _wait_until_ready(process, notifications, log)
            ready = _READY.search(log.read_text())
            yield ready[1] if ready else "", process.pid
        finally:
            process.terminate()
            process.wait()
            kill_supervisor(state_dir)


@contextmanager
def _notifications() -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """Gives a socket for sd_notify, and the variable that names it."""
    with (
        tempfile.TemporaryDirectory() as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications,
    ):
        path = f"{directory}/notify"
        notifications.bind(path)
        yield notifications, {"NOTIFY_SOCKET": path}


def _wait_until_ready(process: subprocess.Popen[bytes], notifications: socket.socket, log: Path) -> None:
    ended = os.pidfd_open(process.pid)
    try:
        readable, _, _ = select.select([notifications.fileno(), ended], [], [])
    finally:
        os.close(ended)
    if notifications.fileno() not in readable or b"READY=1" not in notifications.recv(1024):
        raise DaemonDiedError(f"{process.args!r}: not ready:\n{log.read_text()}")
