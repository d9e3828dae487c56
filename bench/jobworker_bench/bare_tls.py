"""A bare TLS 1.3 socket between two Python processes: the limit of any transport in Python.

Run as a program it is the sending side: `python bare_tls.py CERTS FILE`; it prints its port, takes one connection,
sends the file, and ends.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

_BLOCK = 256 << 10


def _server_context(certs: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certs / "server-cert.pem", certs / "server-key.pem")
    context.load_verify_locations(certs / "ca-cert.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def send(certs: Path, file: Path) -> None:
    """Serves one connection the content of a file."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        connection, _ = listener.accept()
    with (
        _server_context(certs).wrap_socket(connection, server_side=True) as tls,
        file.open("rb", buffering=0) as source,
    ):
        while block := source.read(_BLOCK):
            tls.sendall(block)


def receive_rate(certs: Path, file: Path) -> float:
    """Returns how many bytes a second go from one Python process to this one over TLS 1.3.

    Raises:
        RuntimeError: If not every byte came.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(certs / "client-cert.pem", certs / "client-key.pem")
    context.load_verify_locations(certs / "ca-cert.pem")
    command = [sys.executable, str(Path(__file__).absolute()), str(certs), str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
        port = int(next(iter(sender.stdout or ())))
        with (
            socket.create_connection(("127.0.0.1", port)) as connection,
            context.wrap_socket(connection, server_hostname="127.0.0.1") as tls,
        ):
            begin = time.perf_counter()
            received = 0
            while block := tls.recv(_BLOCK):
                received += len(block)
            duration = time.perf_counter() - begin
    if received != file.stat().st_size:
        raise RuntimeError(f"{received} bytes came over the bare socket, not {file.stat().st_size}")
    return received / duration


if __name__ == "__main__":
    send(Path(sys.argv[1]), Path(sys.argv[2]))
