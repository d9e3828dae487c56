"""How a TLS 1.3 server deals with protocols and sessions, as the standard library's client sees it.

SSLyze can't say: it offers no application protocol, and without one the daemon hangs up on it before it gives a ticket.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, NamedTuple, final

if TYPE_CHECKING:
    from collections.abc import Sequence

_HANDSHAKE = 22
_NEW_SESSION_TICKET = 4
_EARLY_DATA = 42  # of RFC 8446, 4.2.10
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_PATIENCE_SECONDS = 10


class Ticket(NamedTuple):
    """What a server gives out to resume a session with: a NewSessionTicket, RFC 8446, 4.6.1."""

    lifetime_seconds: int
    early_data: bool
    """Whether a client may send data before the handshake is over."""


class Connected(NamedTuple):
    """What came of a connection."""

    protocol: str | None
    """The application protocol agreed on."""
    answer: bytes
    """The first that the server said; nothing if it hung up."""
    resumed: bool


def parse_ticket(message: bytes) -> Ticket:
    """Returns the ticket of a handshake message, its header included.

    Raises:
        AssertionError: If it is cut short; the server's fault.
    """
    body = message[4:]
    nonce_end = 9 + body[8]
    ticket_end = nonce_end + 2 + int.from_bytes(body[nonce_end : nonce_end + 2])
    rest = body[ticket_end + 2 :]
    assert len(rest) == int.from_bytes(body[ticket_end : ticket_end + 2])
    kinds = set()
    while rest:
        kinds.add(int.from_bytes(rest[:2]))
        rest = rest[4 + int.from_bytes(rest[2:4]) :]
    return Ticket(int.from_bytes(body[:4]), _EARLY_DATA in kinds)


@final
class Client:
    """A client that keeps its session from one connection to the next, and the tickets that it was given."""

    def __init__(self, address: str, ca: str, certificate: tuple[str, str], protocols: Sequence[str]) -> None:
        self.tickets: list[Ticket] = []
        self._address = address
        self._session: ssl.SSLSession | None = None
        self._context = ssl.create_default_context(cafile=ca)
        self._context.load_cert_chain(*certificate)
        if protocols:
            self._context.set_alpn_protocols(protocols)
        # The one way to see tickets from Python; it is there for debugging.
        self._context._msg_callback = self._see  # type: ignore[attr-defined]  # noqa: SLF001

    def __repr__(self) -> str:
        return f"<Client of {self._address} tickets={len(self.tickets)}>"

    def connect(self) -> Connected:
        """Connects, with the session of last time if there is one, and waits for what the server says first."""
        host, _, port = self._address.rpartition(":")
        with (
            socket.create_connection((host, int(port)), _PATIENCE_SECONDS) as plain,
            self._context.wrap_socket(plain, server_hostname="localhost", session=self._session) as secured,
        ):
            protocol, resumed = secured.selected_alpn_protocol(), bool(secured.session_reused)
            try:
                secured.sendall(_PREFACE)
                answer = secured.recv(1 << 10)
            except (ConnectionError, ssl.SSLError):
                answer = b""
            self._session = secured.session
            return Connected(protocol, answer, resumed)

    def _see(self, _: object, direction: str, __: object, content: int, kind: int, data: bytes) -> None:
        if direction == "read" and content == _HANDSHAKE and kind == _NEW_SESSION_TICKET:
            self.tickets.append(parse_ticket(data))
