"""What the daemon offers on its port, as a scanner that others wrote finds it; and that it would find worse."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest

from daemon_world import Pki, World, new_world
from sessions import Client, parse_ticket
from tls_scan import Results, scan, surface
from weak_server import weak_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUITES = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Certificates of every kind, made once."""
    return Pki.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def world(pki: Pki) -> Iterator[World]:
    """A daemon that all tests share."""
    with new_world(pki) as started:
        yield started


@pytest.fixture(scope="module")
def results(world: World, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What the scanner found of the daemon, with a certificate to show."""
    found = scan(world.daemon.address, tmp_path_factory.mktemp("scan") / "report.json", world.pki.client("full"))
    assert found is not None
    return found


def client(world: World, *protocols: str) -> Client:
    """Returns a client that offers these application protocols."""
    return Client(world.daemon.address, world.pki.file("ca-cert.pem"), world.pki.client("full"), protocols)


def test_nothing_but_tls_1_3_and_its_three_suites(results: Results) -> None:
    """Of all versions and suites that the scanner can try, one version is spoken, and three suites of it."""
    assert surface(results).suites == {"tls_1_3": SUITES}


def test_keys_are_agreed_on_over_strong_curves(results: Results) -> None:
    """None of the weak or the doubtful curves is taken."""
    assert surface(results).curves == {"X25519", "secp256r1", "secp384r1", "secp521r1"}


def test_no_known_weakness(results: Results) -> None:
    """No compression, no renegotiation, no resumption of the old kinds, no Heartbleed, no ROBOT, no CCS injection."""
    assert surface(results).weaknesses == set()


def test_without_a_certificate_there_is_nothing_to_scan(world: World, tmp_path: Path) -> None:
    """A scanner with no certificate to show is turned away before it learns anything."""
    assert scan(world.daemon.address, tmp_path / "report.json") is None


def test_the_scanner_sees_a_weak_server(pki: Pki, tmp_path: Path) -> None:
    """The same functions find what is wrong with a server that is weak, and need no certificate for it."""
    with weak_server(pki.file("server-cert.pem"), pki.file("server-key.pem")) as address:
        results = scan(address, tmp_path / "report.json")
    assert results is not None
    found = surface(results)
    assert found.suites["tls_1_2"]
    assert found.suites["tls_1_3"] == SUITES
    assert {weakness.partition(":")[0] for weakness in found.weaknesses} >= {"session_resumption"}


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("tls_compression", "supports_compression", True),
        ("heartbleed", "is_vulnerable_to_heartbleed", True),
        ("openssl_ccs_injection", "is_vulnerable_to_ccs_injection", True),
        ("robot", "robot_result", "VULNERABLE_STRONG_ORACLE"),
        ("session_renegotiation", "is_vulnerable_to_client_renegotiation_dos", True),
        ("session_renegotiation", "client_renegotiations_success_count", 1),
        ("session_resumption", "tls_ticket_resumption_result", "FULLY_SUPPORTED"),
    ],
)
def test_each_weakness_would_be_seen(results: Results, name: str, key: str, value: object) -> None:
    """A report that differs in one point from the daemon's own is one weakness worse."""
    worse = copy.deepcopy(results)
    assert worse[name]["result"][key] != value
    worse[name]["result"][key] = value
    assert surface(worse).weaknesses == {f"{name}: {key} is {value}"}


@pytest.mark.parametrize("name", ["heartbleed", "tls_1_2_cipher_suites", "elliptic_curves"])
def test_what_was_not_scanned_is_no_pass(results: Results, name: str) -> None:
    """A scan that broke off counts as a weakness."""
    broken = copy.deepcopy(results)
    broken[name] = {"status": "ERROR", "result": None}
    assert f"{name}: ERROR" in surface(broken).weaknesses


@pytest.mark.parametrize("protocols", [["h2"], ["http/1.1", "h2"]])
def test_http_2_is_spoken(world: World, protocols: list[str]) -> None:
    """A client that offers h2 gets it, whatever else it offers."""
    connected = client(world, *protocols).connect()
    assert connected.protocol == "h2"
    assert connected.answer


@pytest.mark.parametrize("protocols", [[], ["http/1.1"], ["grpc-exp"], ["h2c"]])
def test_nothing_but_http_2_is_spoken(world: World, protocols: list[str]) -> None:
    """The daemon hangs up, without a word, on a client that doesn't offer h2."""
    connected = client(world, *protocols).connect()
    assert (connected.protocol, connected.answer) == (None, b"")


def test_no_early_data(world: World) -> None:
    """No ticket allows data before the handshake is over: such data could be replayed."""
    h2 = client(world, "h2")
    h2.connect()
    assert h2.tickets
    assert not any(ticket.early_data for ticket in h2.tickets)


def test_early_data_would_be_seen() -> None:
    """A ticket that allows early data, as RFC 8446 writes it, is recognized."""
    early, other = bytes.fromhex("002a000400004000"), bytes.fromhex("8a8a0000")
    for extensions, expected in ((b"", False), (other, False), (early, True), (other + early, True)):
        body = bytes.fromhex("0002a300a55b24cf0100") + b"\0\2ab" + len(extensions).to_bytes(2) + extensions
        assert parse_ticket(b"\4" + len(body).to_bytes(3) + body) == (172_800, expected)


def test_sessions_are_resumed_for_two_days_at_most(world: World) -> None:
    """Sessions can be resumed, by TLS 1.3's tickets alone, and for no longer than two days."""
    h2 = client(world, "h2")
    assert [h2.connect().resumed for _ in range(2)] == [False, True]
    assert {ticket.lifetime_seconds for ticket in h2.tickets} == {172_800}
