"""Where to listen: parses the address, resolves it once, and probes it so that a refusal has a reason."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from typing import final

from jobworker.daemon.errors import BindError, ConfigurationError

_FORM = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<host>[^\[\]:/]+)):(?P<port>[0-9]{1,5})")
_MAX_PORT = 65535
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


@final
@dataclass(frozen=True, slots=True)
class Endpoint:
    """One numeric address and port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this host can reach it."""
        return ipaddress.ip_address(self.host).is_loopback


def parse_address(address: str) -> tuple[str, int]:
    """Returns the host and the port of an address; no look-up.

    Raises:
        ConfigurationError: If it is not of the form host:port or [v6]:port; whoever gave it has to mend it.
    """
    match = _FORM.fullmatch(address)
    if match is None or int(match["port"]) > _MAX_PORT:
        raise ConfigurationError(
            f"can't listen on {address!r}; give host:port with a port up to 65535, such as 127.0.0.1:8080 (--address)"
        )
    return match["v6"] or match["host"], int(match["port"])


def resolve(address: str) -> tuple[Endpoint, ...]:
    """Returns the numeric addresses that an address stands for: both loopback ones for localhost, say.

    The names are looked up here and never again, so that what was checked is what is bound.

    Raises:
        ConfigurationError: If the address is malformed or its host unknown; whoever gave it has to mend it.
    """
    host, port = parse_address(address)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"no address is known for the host {host!r} ({error}); mend --address") from None
    return tuple(dict.fromkeys(Endpoint(str(sockaddr[0]), port) for *_, sockaddr in found))


def bindable(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Returns those endpoints that this host has: localhost may stand for an IPv6 address on a host without IPv6.

    grpc doesn't say why it can't bind, so each endpoint is tried here, by a socket that is closed again at once.

    Raises:
        BindError: If one is taken or not allowed, or the host has none of them.
    """
    usable = []
    for endpoint in endpoints:
        try:
            _try_to_bind(endpoint)
        except OSError as error:
            if error.errno in _NOT_HERE:
                continue
            raise BindError(f"can't listen on {endpoint}: {os.strerror(error.errno or 0)}; {_advice(error)}") from None
        usable.append(endpoint)
    if not usable:
        names = " or ".join(map(str, endpoints))
        raise BindError(f"can't listen on {names}: not an address of this host; give another --address")
    return tuple(usable)


def _try_to_bind(endpoint: Endpoint) -> None:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As grpc's own: a port whose last connections linger in TIME_WAIT can be listened on, a taken one can't.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((endpoint.host, endpoint.port))
        probe.listen()


def _advice(error: OSError) -> str:
    if error.errno == errno.EACCES:
        return "give a --address with a port of 1024 or more"
    return "stop what listens there, or give another --address"
