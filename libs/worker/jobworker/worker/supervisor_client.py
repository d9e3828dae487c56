"""Starts the supervisor process and talks to it; what the answers mean is the worker's business."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, final

import jobworker.supervisor
from jobworker.supervisor.protocol import Event, Kill, Ready, Start, decode, encode
from jobworker.worker.errors import SupervisorError, WorkerClosedError
from jobworker.worker.refusals import exhausted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(jobworker.supervisor.__file__)), "__main__.py")


@final
class SupervisorClient:
    """A supervisor process of one's own: an async context manager; leaving it kills all of the supervisor's jobs."""

    def __init__(self, environment: Mapping[str, str], scratch: Path | None) -> None:
        """Prepares a supervisor.

        Args:
            environment: The supervisor's environment, which jobs inherit.
            scratch: A directory that the supervisor removes when it ends, so that nothing is left even when this
                process is killed; None for none.
        """
        self._environment = dict(environment)
        self._scratch = [] if scratch is None else [os.fspath(scratch)]
        self.pid = 0
        self._closing = False

    def __repr__(self) -> str:
        return f"<SupervisorClient pid={self.pid}>"

    async def __aenter__(self) -> Self:
        """Starts it and waits until it is ready.

        Raises:
            ResourceExhaustedError: If there are no processes or file descriptors left for it; the host's fault.
            SupervisorError: If it does not start; the host's fault, or a bug of ours.
        """
        try:
            await self._connect()
        except OSError as error:
            raise exhausted(error.errno or 0) or SupervisorError(f"the supervisor did not start: {error}") from error
        try:
            async with aclosing(self.events()) as events:
                first = await anext(events, None)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        if not isinstance(first, Ready):
            await self.__aexit__(None, None, None)
            raise SupervisorError(f"the supervisor ended with code {self._process.returncode} before it was ready")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
            # Until its last word, so that it is never kept from ending by what nobody reads.
            async for _ in self.events():
                pass
            await _exit_of(self._process.pid)
        finally:
            # Whatever cut the reading short, the supervisor must not wait for it. Shut down now, since the descriptor
            # itself is closed only in the event loop's next round.
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._writer.close()
            self._process.wait()
        with suppress(OSError):
            # Closed now, not a round of the event loop later; why it broke, if it did, `events` has seen.
            await self._writer.wait_closed()

    def start(self, request: Start) -> None:
        """Asks for a job; a `Started` or `Refused` of the same job id follows.

        Raises:
            WorkerClosedError: If `close` was called; the caller's fault.
        """
        if self._closing:
            raise WorkerClosedError
        self._writer.write(encode(request))

    def kill(self, job_id: str) -> None:
        """Asks for a job's process group to be killed; `Exited` follows if it did not come before."""
        if not self._closing:  # else all jobs are being killed
            self._writer.write(encode(Kill(job_id)))

    def close(self) -> None:
        """Asks the supervisor to kill all jobs and end; `events` ends when it has."""
        if not self._closing and not self._writer.is_closing():
            self._writer.write_eof()
        self._closing = True

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yields what the supervisor says, in order, until it ends."""
        try:
            while line := await self._reader.readline():
                message = decode(line)
                if not isinstance(message, Start | Kill):
                    yield message
        except ConnectionError:
            pass  # it was killed with a request unread; the same as its end

    async def _connect(self) -> None:
        self._process, self._socket = self._launch()
        self.pid = self._process.pid
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(sock=self._socket)
        except BaseException:
            self._socket.close()
            self._process.wait()  # it ends at once, since nobody is at the other end of its socket
            raise

    def _launch(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = subprocess.Popen(
                    [sys.executable, "-IS", _PROGRAM, str(theirs.fileno()), *self._scratch],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=self._environment,
                    pass_fds=[theirs.fileno()],
                    # A Ctrl-C at the worker's terminal is for the worker.
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        return process, ours


async def _exit_of(pid: int) -> None:
    """Waits until a child has exited; it stays a zombie, for its Popen to reap.

    Without a descriptor to spare it doesn't wait: reaping does, though in the event loop's way.
    """
    loop = asyncio.get_running_loop()
    exited = asyncio.Event()
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        loop.add_reader(descriptor, exited.set)
        await exited.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
