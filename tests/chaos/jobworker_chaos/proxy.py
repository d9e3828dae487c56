"""A TCP proxy between clients and a daemon that may be gone, which cuts connections at chance."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    import random
    from types import TracebackType
    from typing import Self

_BLOCK_BYTES = 1 << 16


@final
class ChaosProxy:
    """Passes connections on to one address; while there is trouble, each is cut amid its bytes or at some moment.

    Attributes:
        address: Where it listens, host:port.
        cuts: How many connections it has cut.
    """

    def __init__(self, target: str, rng: random.Random) -> None:
        """Prepares a proxy.

        Args:
            target: Where to pass connections on to, host:port.
            rng: Decides after how many bytes to cut a connection, and which one.
        """
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self._rng = rng
        self._open: set[asyncio.StreamWriter] = set()
        self._is_calm = False
        self.address = ""
        self.cuts = 0

    def __repr__(self) -> str:
        return f"<ChaosProxy open={len(self._open) // 2} cuts={self.cuts}>"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in tuple(self._open):
            writer.transport.abort()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Cuts one connection, whatever it is doing, if there is one."""
        # In the order of their ports, since that of a set is chance of another kind.
        if self._open:
            self.cuts += 1
            self._rng.choice(sorted(self._open, key=_port)).transport.abort()

    def calm(self) -> None:
        """Cuts nothing any more."""
        self._is_calm = True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target_reader, target_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()  # the daemon is dead
            return
        limit = round(2 ** self._rng.uniform(10, 23))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pass_on(reader, target_writer, None))
            tasks.create_task(self._pass_on(target_reader, writer, limit))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None) -> None:
        self._open.add(writer)
        passed = 0
        with suppress(OSError):
            while block := await reader.read(_BLOCK_BYTES):
                passed += len(block)
                if limit is not None and passed > limit and not self._is_calm:
                    self.cuts += 1
                    break
                writer.write(block)
                await writer.drain()
        self._open.discard(writer)
        writer.transport.abort()


def _port(writer: asyncio.StreamWriter) -> int:
    peer: tuple[str, int] = writer.get_extra_info("peername")
    return peer[1]
