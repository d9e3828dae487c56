"""A TCP proxy that cuts connections, for what a network does to a stream."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self


@final
class CuttingProxy:
    """Passes connections on to one address, and cuts the first ones after so many bytes from there.

    Attributes:
        address: Where it listens, host:port.
        cuts: How many connections it has cut.
    """

    def __init__(self, target: str, limits: Sequence[int]) -> None:
        """Prepares a proxy.

        Args:
            target: Where to pass connections on to, host:port.
            limits: After how many bytes from the target to cut the first connection, the second, and so on; later ones
                are not cut.
        """
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self._limits = list(limits)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts = 0

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _shut(self._listener)
        for connection in self._sockets:
            _shut(connection)
        for thread in self._threads:
            thread.join()
        for connection in (self._listener, *self._sockets):
            connection.close()

    def _run(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                limit = self._limits.pop(0) if self._limits else None
                self._run(self._pass_on, client, server, None)
                self._run(self._pass_on, server, client, limit)

    def _pass_on(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        passed = 0
        with suppress(OSError):
            while block := source.recv(1 << 16):
                passed += len(block)
                if limit is not None and passed > limit:
                    self.cuts += 1
                    break
                target.sendall(block)
        _shut(source)
        _shut(target)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
