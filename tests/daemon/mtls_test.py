"""Who gets a connection, tried by a TLS client that is not grpc's."""

from __future__ import annotations

import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

import tls_probe
from tls_probe import NoConnectionError

if TYPE_CHECKING:
    from daemon_world import Pki, World


def _connect(world: World, client: str | None, most: ssl.TLSVersion | None = None) -> tls_probe.Agreed:
    certificate = world.pki.client(client) if client else None
    return tls_probe.connect(world.daemon.address, world.pki.file("ca-cert.pem"), certificate, most)


def _with_suite(world: World, suite: str, folder: Path) -> tls_probe.Agreed:
    ca, certificate = world.pki.file("ca-cert.pem"), world.pki.client("full")
    return tls_probe.connect_with_suite(suite, folder, world.daemon.address, ca, certificate)


def test_tls_1_3(world: World) -> None:
    """A client with a good certificate gets a connection, and it is TLS 1.3."""
    assert _connect(world, "full").version == "TLSv1.3"


def test_stranger_gets_a_connection(world: World) -> None:
    """A certificate of our CA that has no role passes the handshake; it is the calls that are refused."""
    assert _connect(world, "stranger").version == "TLSv1.3"


def test_tls_1_2_is_refused(world: World) -> None:
    """The handshake fails for a client that has nothing better than TLS 1.2, whatever its suites."""
    with pytest.raises(NoConnectionError, match=r"EOF|alert"):
        _connect(world, "full", ssl.TLSVersion.TLSv1_2)


@pytest.mark.parametrize("suite", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"])
def test_suite_is_accepted(world: World, suite: str, tmp_path: Path) -> None:
    """A client that offers just one of the three suites gets it."""
    assert _with_suite(world, suite, tmp_path) == ("TLSv1.3", suite)


@pytest.mark.parametrize("suite", ["TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"])
def test_other_suite_is_refused(world: World, suite: str, tmp_path: Path) -> None:
    """The handshake fails for a client that offers another suite of TLS 1.3."""
    with pytest.raises(NoConnectionError, match=r"EOF|alert"):
        _with_suite(world, suite, tmp_path)


@pytest.mark.parametrize("client", [None, "foreign", "expired", "future"])
def test_bad_certificate_is_refused(world: World, client: str | None) -> None:
    """No certificate, one of another CA, one that is over and one that is not yet valid: no connection."""
    with pytest.raises(NoConnectionError):
        _connect(world, client)


def test_probe_can_do_tls_1_2(pki: Pki) -> None:
    """The same client does get TLS 1.2 from a server without the floor, so the refusal above is the floor's doing."""
    certificate, key = (Path(file).read_bytes() for file in pki.client("server"))
    server = grpc.server(ThreadPoolExecutor(1))
    credentials = grpc.ssl_server_credentials(
        [(key, certificate)], Path(pki.file("ca-cert.pem")).read_bytes(), require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        ca, client = pki.file("ca-cert.pem"), pki.client("full")
        agreed = tls_probe.connect(f"127.0.0.1:{port}", ca, client, ssl.TLSVersion.TLSv1_2)
    finally:
        server.stop(None).wait()
    assert agreed.version == "TLSv1.2"


def test_refused_handshakes_write_no_log(world: World) -> None:
    """A peer that fails the handshake can't fill the log."""
    before = len(world.daemon.lines)
    for _ in range(5):
        with pytest.raises(NoConnectionError):
            _connect(world, "foreign")
    assert [line for line in world.daemon.lines[before:] if "event=" not in line] == []
