"""Decides what is an address of a daemon; looks nothing up."""

from __future__ import annotations

from jobworker.client.settings import SettingsError

_EXPECTED = "give host:port with a port up to 65535, such as localhost:8080, 10.0.0.7:8080 or [::1]:8080"
_HIGHEST_PORT = 65535


def target(address: str) -> str:
    """Returns an address in the form that gRPC can take for nothing else.

    Raises:
        SettingsError: it is not host:port; the caller's fault.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not _is_port(port) or not _is_host(host):
        raise SettingsError(f"{address} is not an address; {_EXPECTED}")
    # Without a scheme gRPC would take a host named `unix` for one; with it, nothing else is tried.
    return f"dns:///{address}"


def _is_port(port: str) -> bool:
    # gRPC itself takes 70000 for 4464.
    return port.isascii() and port.isdigit() and 0 < int(port) <= _HIGHEST_PORT


def _is_host(host: str) -> bool:
    if host.startswith("[") and host.endswith("]"):
        return ":" in host and _consists_of(host[1:-1], ":.%")
    return _consists_of(host, "-._")


def _consists_of(text: str, marks: str) -> bool:
    return bool(text) and text.isascii() and all(char.isalnum() or char in marks for char in text)
