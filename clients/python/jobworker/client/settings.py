"""Owns what a connection takes: the files with its certificates, and its patience; knows no gRPC."""

from __future__ import annotations

import os.path
from typing import NamedTuple

PATIENCE = 60.0
"""How many seconds without progress a follow bears, unless told otherwise."""


class SettingsError(ValueError):
    """The address or a file is wrong; the caller's fault."""


class Certificates(NamedTuple):
    """What mutual TLS takes, in PEM.

    Attributes:
        ca: the certificate of the daemon's authority.
        key: the client's private key; None to have none.
        cert: the client's certificate; None to have none, with which every daemon refuses it.
    """

    ca: bytes
    key: bytes | None
    cert: bytes | None


def read_certificates(
    ca: str | os.PathLike[str], cert: str | os.PathLike[str], key: str | os.PathLike[str]
) -> Certificates:
    """Returns the content of three files.

    Args:
        ca: the path of the certificate of the daemon's authority.
        cert: the path of the client's certificate; empty to have none.
        key: the path of its key; empty if there is no certificate.

    Raises:
        SettingsError: one is missing, unreadable or not PEM; the caller's fault.
    """
    return Certificates(
        ca=read_pem("CA certificate", ca),
        key=read_pem("client key", key) if key else None,
        cert=read_pem("client certificate", cert) if cert else None,
    )


def read_pem(what: str, path: str | os.PathLike[str]) -> bytes:
    """Returns a file's content.

    Args:
        what: what it holds, for the error's message.
        path: where it is.

    Raises:
        SettingsError: it is missing, unreadable or not PEM; the caller's fault.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs 3 ms of every program's start
            content = file.read()
    except FileNotFoundError as error:
        raise SettingsError(f"the {what} {os.path.abspath(path)} does not exist") from error  # noqa: PTH100 - as above
    except OSError as error:
        raise SettingsError(f"cannot read the {what} {os.fspath(path)}: {error.strerror}") from error
    # Of an empty one gRPC would make the system's authorities.
    if b"-----BEGIN " not in content:
        raise SettingsError(f"the {what} {os.fspath(path)} is not PEM")
    return content
