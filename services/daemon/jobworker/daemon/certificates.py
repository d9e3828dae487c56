"""Reads and checks the certificates, the key and the CA that the daemon serves with; makes and binds nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization

from jobworker.daemon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@final
@dataclass(frozen=True, slots=True, repr=False)
class ServerIdentity:
    """What the daemon proves itself with, and whom it asks about its clients; all of it was checked.

    Attributes:
        certificate: The server's certificate, or its chain with the server's own first, PEM.
        key: The server's key, PEM.
        ca: The certificates of the CAs that vouch for clients, PEM.
        fingerprints: Those of all these certificates, lower-case hex.
    """

    certificate: bytes
    key: bytes
    ca: bytes
    fingerprints: frozenset[str]

    def __repr__(self) -> str:
        # Never the key.
        return f"<ServerIdentity certificates={len(self.fingerprints)}>"


def load_identity(cert: Path, key: Path, ca: Path, *, now: datetime | None = None) -> ServerIdentity:
    """Returns the server's identity from its three files.

    Args:
        cert: The server's certificate or chain.
        key: The server's key, not encrypted.
        ca: One or more CA certificates.
        now: The time that the certificates have to be valid at; by default the clock's.

    Raises:
        ConfigurationError: If a file can't be read or is not what it should be, or a certificate is not valid now;
            whoever configures the daemon has to mend it.
    """
    now = now or datetime.now(UTC)
    # Each is read once: it may be a pipe.
    certificate_pem, key_pem, ca_pem = read(cert, "--cert"), read(key, "--key"), read(ca, "--ca")
    chain = _certificates(certificate_pem, cert, "--cert")
    authorities = _certificates(ca_pem, ca, "--ca")
    _check_valid(chain[0], now, f"the server's certificate {cert}", "--cert")
    _check_valid(max(authorities, key=lambda one: one.not_valid_after_utc), now, f"the CA {ca}", "--ca")
    if _public_key(key_pem, key) != chain[0].public_key():
        raise ConfigurationError(f"the key {key} is not that of {cert}; give another --key or --cert")
    return ServerIdentity(
        certificate=certificate_pem,
        key=key_pem,
        ca=ca_pem,
        fingerprints=frozenset(one.fingerprint(hashes.SHA256()).hex() for one in (*chain, *authorities)),
    )


def read(path: Path, option: str) -> bytes:
    """Returns a file's content.

    Args:
        path: The file.
        option: The option that named it, for the message.

    Raises:
        ConfigurationError: If it can't be read; whoever configures the daemon has to mend it.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"can't read {path}: {error.strerror}; give another {option}") from None


def _certificates(pem: bytes, path: Path, option: str) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise ConfigurationError(f"no PEM certificate in {path}; give another {option}") from None


def _check_valid(certificate: x509.Certificate, now: datetime, what: str, option: str) -> None:
    if now > certificate.not_valid_after_utc:
        problem = f"expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    elif now < certificate.not_valid_before_utc:
        problem = f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    else:
        return
    raise ConfigurationError(f"{what} {problem}; give another {option}")


def _public_key(pem: bytes, path: Path) -> object:
    try:
        return serialization.load_pem_private_key(pem, password=None).public_key()
    except TypeError:
        raise ConfigurationError(f"the key {path} is encrypted; give one that is not (--key)") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(f"no PEM private key in {path}; give another --key") from None
