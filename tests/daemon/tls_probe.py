"""A TLS client of the standard library alone, for what a grpc client can't be made to do; also a program.

As a program it runs under an OPENSSL_CONF of its own, the one way to choose the suites of TLS 1.3 from Python.
"""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_FRAME_HEADER = 9
_SETTINGS = 4

_OPENSSL_CONF = """openssl_conf = main
[main]
ssl_conf = ssl
[ssl]
system_default = defaults
[defaults]
Ciphersuites = {suite}
"""


class NoConnectionError(Exception):
    """The server refused the connection, in the handshake or with the first thing it says after it."""


class Agreed(NamedTuple):
    """What client and server agreed on."""

    version: str | None
    suite: str


def connect(address: str, ca: str, certificate: tuple[str, str] | None, most: ssl.TLSVersion | None = None) -> Agreed:
    """Connects until the server speaks HTTP/2, and returns what was agreed on.

    With TLS 1.3 the client's handshake is over before the server has judged the client's certificate, so the handshake
    alone says nothing.

    Args:
        address: Where the server listens.
        ca: The file of the server's CA.
        certificate: The files of the client's certificate and key, if it has one.
        most: The highest version of TLS to offer.

    Raises:
        NoConnectionError: If the server refuses.
    """
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["h2"])
    # Everything that OpenSSL has, the weak too: what is refused must be refused by the server.
    context.set_ciphers("ALL:@SECLEVEL=0")
    if certificate:
        context.load_cert_chain(*certificate)
    if most:
        context.minimum_version = context.maximum_version = most
    host, _, port = address.rpartition(":")
    try:
        with (
            socket.create_connection((host, int(port))) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            secured.sendall(_PREFACE)
            header = secured.recv(_FRAME_HEADER)
            if len(header) < _FRAME_HEADER or header[3] != _SETTINGS:
                raise NoConnectionError("the server closed the connection")
            cipher = secured.cipher()
            return Agreed(secured.version(), cipher[0] if cipher else "")
    except OSError as error:
        raise NoConnectionError(str(error)) from error


def connect_with_suite(suite: str, folder: Path, address: str, ca: str, certificate: tuple[str, str]) -> Agreed:
    """Connects as `connect` does, offering one suite of TLS 1.3 alone.

    Raises:
        NoConnectionError: If the server refuses.
    """
    configuration = folder / f"{suite}.cnf"
    configuration.write_text(_OPENSSL_CONF.format(suite=suite))
    done = subprocess.run(
        [sys.executable, __file__, address, ca, *certificate],
        env={**os.environ, "OPENSSL_CONF": str(configuration)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NoConnectionError(done.stderr)
    version, name = done.stdout.split()
    return Agreed(version, name)


if __name__ == "__main__":
    print(*connect(sys.argv[1], sys.argv[2], (sys.argv[3], sys.argv[4])))
