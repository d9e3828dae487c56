"""Connections of hostile clients: plain sockets, and TLS on which anything may be sent."""

from __future__ import annotations

import socket
import ssl
import struct
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, final

from jobworker_hostile.frames import ACK, GOAWAY, PREFACE, SETTINGS, Frame, frame, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

_PATIENCE_SECONDS = 60.0
"""After which a test fails, rather than waits for ever for what a server should have said."""


def plain(address: str) -> socket.socket:
    """Connects without TLS."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=_PATIENCE_SECONDS)


@contextmanager
def open_sockets(address: str, count: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Holds connections that never finish their handshake.

    Args:
        address: Where to.
        count: How many.
        first: What each sends at first.
    """
    with ExitStack() as stack:
        made = [stack.enter_context(plain(address)) for _ in range(count)]
        for each in made:
            send(each, first)
        yield made


def send(connection: socket.socket, data: bytes) -> bool:
    """Sends, and returns whether the server still takes it."""
    try:
        connection.sendall(data)
    except OSError:
        return False
    return True


def read_to_end(connection: socket.socket) -> bytes:
    """Returns what the server sends until it closes the connection, which it has to."""
    received = bytearray()
    try:
        while data := connection.recv(1 << 16):
            received += data
    except TimeoutError:
        raise AssertionError(f"the server did not close the connection; it sent {bytes(received[:200])!r}") from None
    except OSError:
        pass  # an end too, if an unfriendly one
    return bytes(received)


@final
class HostilePeer:
    """A client that got through the handshake and sends what it likes: a context manager.

    Attributes:
        frames: What the server has sent, as far as it was read.
        answered: The streams that it has ended.
    """

    def __init__(self, address: str, folder: Path, client: str) -> None:
        """Prepares to connect.

        Args:
            address: Where to.
            folder: Of the certificates.
            client: Whose certificate to show.
        """
        self._address = address
        self._context = ssl.create_default_context(cafile=str(folder / "ca-cert.pem"))
        self._context.load_cert_chain(folder / f"{client}-cert.pem", folder / f"{client}-key.pem")
        self._context.set_alpn_protocols(["h2"])
        self._received = bytearray()
        self.frames: list[Frame] = []
        self.answered: set[int] = set()

    def __enter__(self) -> Self:
        self._socket = self._context.wrap_socket(plain(self._address), server_hostname="localhost")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def greet(self) -> None:
        """Sends what a client of HTTP/2 sends first."""
        self.send(PREFACE + frame(SETTINGS) + frame(SETTINGS, flags=ACK))

    def send(self, data: bytes) -> bool:
        """Sends, and returns whether the server still takes it."""
        return send(self._socket, data)

    def vanish(self) -> None:
        """Ends the connection by a reset, with whatever the server has sent unread."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def wait_for_answers(self, count: int) -> None:
        """Reads until the server has ended so many calls.

        Raises:
            AssertionError: If it ends the connection before that, or takes very long.
        """
        while len(self.answered) < count:
            try:
                data = self._socket.recv(1 << 16)
            except OSError as error:
                raise AssertionError(f"cut off ({error}), after {self.frames[-5:]}") from None
            if not data:
                raise AssertionError(f"cut off, after {self.frames[-5:]}")
            self._take(data)

    def listen(self, seconds: float) -> None:
        """Reads what the server says in a time, or until it ends the connection."""
        self._socket.settimeout(seconds)
        try:
            while data := self._socket.recv(1 << 16):
                self._take(data)
        except OSError:
            pass  # silence, or an end
        finally:
            self._socket.settimeout(_PATIENCE_SECONDS)

    def read_to_end(self) -> list[Frame]:
        """Reads until the server ends the connection, and returns all frames."""
        self._take(read_to_end(self._socket))
        return self.frames

    def goodbye(self) -> Frame:
        """Reads until the server ends the connection, and returns its GOAWAY.

        Raises:
            AssertionError: If there was none.
        """
        frames = self.read_to_end()
        said = [each for each in frames if each.kind == GOAWAY]
        assert said, frames[-5:]
        return said[-1]

    def _take(self, data: bytes) -> None:
        self._received += data
        fresh = list(parsed(self._received))
        self.frames += fresh
        self.answered |= {each.stream for each in fresh if each.ends_stream}
