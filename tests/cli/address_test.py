"""What is an address, and what is not."""

from __future__ import annotations

import pytest

from jobworker.cli.address import target
from jobworker.cli.errors import WrongUsageError


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:8080", "localhost:1", "worker-1.example.org:65535", "[::1]:8080", "[fe80::1%eth0]:80", "unix:80"],
)
def test_an_address_is_taken_as_it_is(address: str) -> None:
    """Names, IPv4 and bracketed IPv6 with a port go to gRPC, as nothing but a host's name."""
    assert target(address) == f"dns:///{address}"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost",
        "localhost:",
        ":8080",
        "localhost:0",
        "localhost:65536",
        "localhost:http",
        "localhost:-1",
        "localhost:²",
        "::1:8080",
        "[::1]",
        "[]:80",
        "[localhost]:80",
        "http://localhost:80",
        "unix:/run/worker",
        "a b:80",
    ],
)
def test_what_is_no_address_is_wrong_usage(address: str) -> None:
    """Port 65536 would be port 0 to gRPC, and the rest be looked up; the user is told at once, with examples."""
    with pytest.raises(WrongUsageError, match="is not an address; give host:port"):
        target(address)
