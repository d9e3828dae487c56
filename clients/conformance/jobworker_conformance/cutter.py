"""A TCP proxy that cuts connections after so many bytes, so that clients have to go on by themselves."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncIterator, Sequence

_BLOCK_BYTES = 1 << 16


@asynccontextmanager
async def cutting(target: str, after: Sequence[int]) -> AsyncIterator[str]:
    """Gives the address, host:port, of a proxy to a daemon.

    Args:
        target: The daemon's address.
        after: How many bytes from the daemon each connection in turn lets through before it is cut; those behind the
            last are not cut.
    """
    host, _, port = target.rpartition(":")
    limits = iter(after)

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        limit = next(limits, None)
        try:
            target_reader, target_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_pass_on(reader, target_writer, None))
            tasks.create_task(_pass_on(target_reader, writer, limit))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _pass_on(reader: StreamReader, writer: StreamWriter, limit: int | None) -> None:
    passed = 0
    with suppress(OSError):
        while block := await reader.read(_BLOCK_BYTES):
            if limit is not None and passed + len(block) > limit:
                writer.write(block[: limit - passed])
                await writer.drain()
                break
            passed += len(block)
            writer.write(block)
            await writer.drain()
    writer.transport.abort()
