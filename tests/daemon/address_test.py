"""Where to listen."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

import pytest

from jobworker.daemon.address import Endpoint, bindable, parse_address, resolve
from jobworker.daemon.errors import BindError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def taken() -> Iterator[Endpoint]:
    """An endpoint that something listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Endpoint("127.0.0.1", listener.getsockname()[1])


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),  # noqa: S104 - nothing is bound
    ],
)
def test_parse(address: str, parsed: tuple[str, int]) -> None:
    """host:port and [v6]:port are addresses."""
    assert parse_address(address) == parsed


@pytest.mark.parametrize(
    "address",
    [
        "",
        "8080",
        ":8080",
        "localhost",
        "localhost:",
        "localhost:http",
        "localhost:65536",
        "::1:80",
        "[::1]",
        "a b:c",
        "unix:/tmp/socket",
        "unix:///tmp/socket",
        "127.0.0.1:-1",
        "127.0.0.1:80\n",
        "http://127.0.0.1:80",
    ],
)
def test_malformed(address: str) -> None:
    """What is no address is refused with an example of one; unix sockets, where no TLS peer is, are not offered."""
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:8080"):
        resolve(address)


@pytest.mark.parametrize("address", ["no-such-host.invalid:1", "[not-v6]:1", "." * 300 + ":1"])
def test_unknown_host(address: str) -> None:
    """A host that no name server knows is named."""
    with pytest.raises(ConfigurationError, match="no address is known"):
        resolve(address)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.255.3.4:1", "[::1]:1", "localhost:1"])
def test_loopback(address: str) -> None:
    """All of 127.0.0.0/8, ::1 and localhost are loopback."""
    assert all(endpoint.is_loopback for endpoint in resolve(address))


@pytest.mark.parametrize("address", ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[2001:db8::1]:1"])
def test_not_loopback(address: str) -> None:
    """The wildcard addresses are not loopback, though they include it."""
    assert not any(endpoint.is_loopback for endpoint in resolve(address))


def test_printed_as_typed() -> None:
    """An endpoint is printed as grpc and users write it."""
    assert [str(Endpoint("::1", 2)), str(Endpoint("127.0.0.1", 3))] == ["[::1]:2", "127.0.0.1:3"]


def test_taken_port(taken: Endpoint) -> None:
    """A port in use is an error with its reason, though grpc gives none."""
    with pytest.raises(BindError, match=f"{taken}: Address already in use"):
        bindable((taken,))


def test_taken_port_beside_a_free_address(taken: Endpoint) -> None:
    """One address of two being taken is an error: half of localhost would be somebody else's."""
    with pytest.raises(BindError, match="in use"):
        bindable((Endpoint("127.0.0.2", 0), taken))


def test_address_of_another_host() -> None:
    """An address that this host doesn't have is an error when it is the only one, and skipped beside a good one."""
    foreign, good = Endpoint("192.0.2.1", 0), Endpoint("127.0.0.1", 0)
    assert bindable((foreign, good)) == (good,)
    with pytest.raises(BindError, match="not an address of this host"):
        bindable((foreign,))


def test_privileged_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that needs privileges is an error that says what to do; tests may run as root, so the kernel is played."""

    def refuse(_socket: socket.socket, _address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(BindError, match="1024"):
        bindable((Endpoint("127.0.0.1", 80),))
