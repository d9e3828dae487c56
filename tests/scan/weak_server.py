"""A server that is all that the daemon must not be: old versions of TLS, weak suites, no client certificate."""

from __future__ import annotations

import socketserver
import ssl
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_PATIENCE_SECONDS = 5


class _Handler(socketserver.BaseRequestHandler):
    request: socket.socket
    server: _Server

    def handle(self) -> None:
        """Shakes hands with anyone, and answers anything."""
        self.request.settimeout(_PATIENCE_SECONDS)
        with suppress(OSError), self.server.context.wrap_socket(self.request, server_side=True) as secured:
            while secured.recv(1 << 14):
                secured.sendall(_ANSWER)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128
    context: ssl.SSLContext


@contextmanager
def weak_server(certificate: str, key: str) -> Iterator[str]:
    """Serves on a free port of this host until the context ends, and gives the address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(certificate, key)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.context = context
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
