"""A connection to a supervisor: requests go in, events come out; what they mean is the worker's business."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, final

from jobworker.supervisor.protocol import Ready, decode_event, encode
from jobworker.worker.errors import SupervisorError

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator

    from jobworker.supervisor.protocol import Event, Request


@final
class SupervisorClient:
    """A connection that the supervisor has greeted.

    Attributes:
        ready: The greeting.
    """

    def __init__(
        self, control: socket.socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ready: Ready
    ) -> None:
        self._socket = control
        self._reader = reader
        self._writer = writer
        self._hung_up = False
        self.ready = ready

    def __repr__(self) -> str:
        return f"<SupervisorClient supervisor={self.ready.pid}>"

    @classmethod
    async def open(cls, control: socket.socket) -> SupervisorClient | None:
        """Takes a connected socket and waits for the greeting; None, and the socket closed, if the supervisor has gone.

        Raises:
            SupervisorError: If it says something else; a bug of ours, or no supervisor.
        """
        try:
            # What a supervisor says holds paths at most, of 4 KiB, which JSON may make six times as long.
            reader, writer = await asyncio.open_unix_connection(sock=control, limit=1 << 20)
        except BaseException:
            control.close()
            raise
        try:
            line = await reader.readline()
            # Half a line is one whose writer was killed.
            ready = decode_event(line) if line.endswith(b"\n") else None
        except ConnectionError:
            ready = None
        except BaseException as error:
            # Now, for who waits for the supervisor's end next: the descriptor is closed in the event loop's next round.
            with suppress(OSError):
                control.shutdown(2)
            writer.close()
            if isinstance(error, ValueError):
                raise SupervisorError(f"what should be the supervisor is none: {error}") from error
            raise
        if isinstance(ready, Ready):
            return cls(control, reader, writer, ready)
        await _close(writer)
        return None

    def send(self, request: Request) -> None:
        """Sends a request; to a supervisor that is dead, or after `hang_up`, it goes nowhere, and `events` ends."""
        if not self._hung_up and not self._writer.is_closing():
            self._writer.write(encode(request))

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yields what the supervisor says, in order, until the connection ends."""
        try:
            # Half a line is one whose writer was killed.
            while (line := await self._reader.readline()).endswith(b"\n"):
                yield decode_event(line)
        except ConnectionError:
            pass  # it was killed with a request unread; the same as its end

    def hang_up(self) -> None:
        """Says that no request will follow; the supervisor then closes the connection, and `events` ends."""
        self._hung_up = True
        if not self._writer.is_closing():
            with suppress(OSError):
                self._writer.write_eof()

    async def close(self) -> None:
        """Closes the connection."""
        # Shut down now, since the descriptor itself is closed only in the event loop's next round.
        with suppress(OSError):
            self._socket.shutdown(2)
        await _close(self._writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def exit_of(pid: int) -> None:
    """Waits until a process has exited; as a child it stays a zombie, for others to reap.

    Without a descriptor to spare, or of a process that is gone, it doesn't wait.
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
