"""A bare TLS 1.3 socket between two Python processes: the limit of any transport in Python.

Run as a program it is the sending side: `python bare_tls.py CERTS file PATH` or `python bare_tls.py CERTS ticks COUNT`;
it prints its port, takes one connection, sends the file or lines, and ends.
"""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 256 << 10
TICK_SECONDS = 0.02

# What gRPC's library takes where the processor has AES; Python's `ssl` takes a 256-bit key, and can't be told.
_CIPHER = "TLS_AES_128_GCM_SHA256"
_OPENSSL_CONF = f"openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nCiphersuites = {_CIPHER}\n"


def _server_context(certs: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certs / "server-cert.pem", certs / "server-key.pem")
    context.load_verify_locations(certs / "ca-cert.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _client_context(certs: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(certs / "client-cert.pem", certs / "client-key.pem")
    context.load_verify_locations(certs / "ca-cert.pem")
    return context


def _send_file(tls: ssl.SSLSocket, path: str) -> None:
    buffer = memoryview(bytearray(_BLOCK))
    with Path(path).open("rb", buffering=0) as source:
        while count := source.readinto(buffer):
            tls.sendall(buffer[:count])


def _send_ticks(tls: ssl.SSLSocket, count: str) -> None:
    tls.do_handshake()
    for _ in range(int(count)):
        tls.sendall(b"%d\n" % time.monotonic_ns())
        time.sleep(TICK_SECONDS)


def _serve(certs: Path, what: str, argument: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with _server_context(certs).wrap_socket(connection, server_side=True) as tls:
        {"file": _send_file, "ticks": _send_ticks}[what](tls, argument)


@contextmanager
def _connection(certs: Path, what: str, argument: str) -> Iterator[ssl.SSLSocket]:
    """Starts the sending side, and connects to it.

    Raises:
        RuntimeError: If they agreed on another cipher than gRPC does.
    """
    command = [sys.executable, str(Path(__file__).absolute()), str(certs), what, argument]
    with os.fdopen(os.memfd_create("openssl.cnf"), "w") as configuration:
        configuration.write(_OPENSSL_CONF)
        configuration.flush()
        descriptor = configuration.fileno()
        environment = {**os.environ, "OPENSSL_CONF": f"/proc/self/fd/{descriptor}"}
        sender = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, pass_fds=[descriptor])
    with sender:
        port = int(next(iter(sender.stdout or ())))
        with (
            socket.create_connection(("127.0.0.1", port)) as connection,
            _client_context(certs).wrap_socket(connection, server_hostname="127.0.0.1") as tls,
        ):
            if (tls.cipher() or ("",))[0] != _CIPHER:
                raise RuntimeError(f"the bare TLS socket has the cipher {tls.cipher()}, not {_CIPHER}")
            yield tls


def receive_rate(certs: Path, file: Path) -> float:
    """Returns how many bytes a second go from one Python process to this one over TLS 1.3.

    Args:
        certs: Folder of the development certificates.
        file: What is sent.

    Raises:
        RuntimeError: If not every byte came.
    """
    buffer = bytearray(_BLOCK)
    received = 0
    with _connection(certs, "file", str(file)) as tls:
        begin = time.perf_counter()
        while count := tls.recv_into(buffer):
            received += count
        duration = time.perf_counter() - begin
    if received != file.stat().st_size:
        raise RuntimeError(f"{received} bytes came over the bare socket, not {file.stat().st_size}")
    return received / duration


def delays(certs: Path, count: int) -> list[float]:
    """Returns how long each of some lines took from one Python process to this one over TLS 1.3, in seconds.

    Args:
        certs: Folder of the development certificates.
        count: How many lines, one each 20 ms.

    Raises:
        RuntimeError: If not every line came.
    """
    taken: list[float] = []
    with _connection(certs, "ticks", str(count)) as tls:
        while lines := tls.recv(_BLOCK):
            now = time.monotonic_ns()
            taken += [(now - int(line)) / 1e9 for line in lines.splitlines()]
    if len(taken) != count:
        raise RuntimeError(f"{len(taken)} lines came over the bare socket, not {count}")
    return taken


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
