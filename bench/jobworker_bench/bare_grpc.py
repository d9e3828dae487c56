"""A bare grpc.aio server over mutual TLS 1.3 that sends a file in frames, or nothing: what Python's gRPC itself costs.

Run as a program it is the server: `python bare_grpc.py CERTS`; it prints its port, and serves until its stdin ends.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from grpc import aio

from jobworker_bench.readers import SEND
from jobworker_testing import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

EMPTY = "/bench.Bare/Empty"
"""The unary call whose handler does nothing."""

FRAME_BYTES = 512 << 10
"""As many as the daemon's frames have at most."""

# As the daemon does: grpc offers no other way to refuse TLS 1.2.
_FLOOR = {"GRPC_SSL_CIPHER_SUITES": "ECDHE-PSK-AES128-CBC-SHA"}


async def _send(request: bytes, _context: object) -> AsyncIterator[bytes]:
    # The page cache has it, as it has the daemon's logs.
    with Path(os.fsdecode(request)).open("rb", buffering=0) as source:  # noqa: ASYNC230 - as said
        while frame := source.read(FRAME_BYTES):
            yield frame


async def _nothing(request: bytes, _context: object) -> bytes:
    return request


async def _serve(certs: Path) -> None:
    server = aio.server()
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        SEND: grpc.unary_stream_rpc_method_handler(_send),
        EMPTY: grpc.unary_unary_rpc_method_handler(_nothing),
    }
    for path, handler in handlers.items():
        service, _, method = path.strip("/").partition("/")
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    credentials = grpc.ssl_server_credentials(
        [((certs / "server-key.pem").read_bytes(), (certs / "server-cert.pem").read_bytes())],
        (certs / "ca-cert.pem").read_bytes(),
        require_client_auth=True,
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


@contextmanager
def serving(certs: Path) -> Iterator[str]:
    """Runs the server and gives its address, host:port."""
    command = [sys.executable, "-P", str(Path(__file__).absolute()), str(certs)]
    environment = {**os.environ, **_FLOOR, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as server:
        yield f"127.0.0.1:{int(next(iter(server.stdout or ())))}"


@contextmanager
def calling(address: str, certs: Path) -> Iterator[Callable[[bytes], bytes]]:
    """Gives the empty call of a server, over a connection of its own."""
    with connect(address, certs) as channel:
        grpc.channel_ready_future(channel).result()
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EMPTY)
        yield call


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
