"""One worker's connection: requests in, events out; a worker that is dead, or gone, is noticed by its process too."""

from __future__ import annotations

import os
import select
import socket
import struct
from typing import TYPE_CHECKING, final

from jobworker.supervisor.protocol import MOST_LINE_BYTES, decode_request, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jobworker.supervisor.protocol import Event, Request

_RECEIVE_BYTES = 1 << 16
CREDENTIALS = struct.Struct("iII")
"""What SO_PEERCRED gives, struct ucred of unix(7): process, user, group."""


@final
class Connection:
    """A connected worker, registered for polling as long as it is open."""

    def __init__(self, control: socket.socket, poll: select.poll) -> None:
        """Takes a connected socket.

        Raises:
            ConnectionError: If the worker is dead already, or of another user.
        """
        self._control = control
        self._poll = poll
        self._unread = bytearray()
        pid, user, _ = CREDENTIALS.unpack(control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
        if user not in (os.getuid(), 0):
            raise ConnectionRefusedError(f"the worker is of user {user}")
        # A copy of the socket in a forked child of the worker's must not hide the worker's death.
        try:
            self._worker = os.pidfd_open(pid)
        except ProcessLookupError:
            raise ConnectionResetError("the worker died") from None
        for descriptor in self.descriptors():
            poll.register(descriptor, select.POLLIN)

    def __repr__(self) -> str:
        return f"<Connection {self._control!r}>"

    def descriptors(self) -> tuple[int, int]:
        """Returns what is to be polled: the socket, and the worker's process."""
        return self._control.fileno(), self._worker

    def close(self) -> None:
        """Closes the connection; the worker sees its end."""
        for descriptor in self.descriptors():
            self._poll.unregister(descriptor)
        self._control.close()
        os.close(self._worker)

    def receive(self) -> Iterator[Request]:
        """Yields the requests that have come.

        Raises:
            ConnectionResetError: If the worker has closed the connection, and all that it had sent was yielded.
            BlockingIOError: If nothing has come; a dead worker's copy of the socket may be open in a child of its.
            ValueError: If what comes is no request, or is longer than any can be; whoever sends that is no worker.
        """
        received = self._control.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT)
        self._unread += received
        if b"\n" in received:
            *lines, self._unread = self._unread.split(b"\n")
            for line in lines:
                yield decode_request(line)
        if len(self._unread) > MOST_LINE_BYTES:
            raise ValueError(f"a line of more than {MOST_LINE_BYTES} bytes")
        if not received:
            raise ConnectionResetError("the worker closed its socket")

    def send(self, events: Iterable[Event]) -> None:
        """Sends events, and waits for a worker that reads slowly: it loses nothing, and jobs need nothing from here.

        Raises:
            ConnectionError: If the worker is dead or has closed the connection; all events were taken all the same.
        """
        failure: ConnectionError | None = None
        for event in events:
            try:
                if failure is None:
                    self._send(encode(event))
            except ConnectionError as error:
                failure = error
        if failure is not None:
            raise failure

    def _send(self, message: bytes) -> None:
        while message:
            try:
                message = message[self._control.send(message, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self._wait_for_room()

    def _wait_for_room(self) -> None:
        poll = select.poll()
        poll.register(self._control.fileno(), select.POLLOUT)
        poll.register(self._worker, select.POLLIN)
        # A full socket doesn't say that nobody will ever read it.
        if self._worker in {descriptor for descriptor, _ in poll.poll()}:
            raise ConnectionResetError("the worker died")
