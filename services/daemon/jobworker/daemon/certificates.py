"""Checks the certificates, the key and the CA that the daemon serves with; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from jobworker.daemon.devcerts import PUBLISHED
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.problems import Problems
from jobworker.daemon.server_key import public_key_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from jobworker.daemon.identity_files import Contents, IdentityFiles

MALFORMED = (
    TypeError,
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for what is no certificate or list, or one of a kind that it does not know."""


@final
@dataclass(frozen=True, slots=True, repr=False)
class ServerIdentity:
    """What the daemon proves itself with, and whom it asks about its clients; all of it was checked.

    Attributes:
        certificate: The server's certificate, or its chain with the server's own first, PEM.
        key: The server's key, PEM.
        ca: The certificates of the CAs that vouch for clients, PEM.
        chain: `certificate`, parsed.
        authorities: `ca`, parsed.
    """

    certificate: bytes
    key: bytes
    ca: bytes
    chain: tuple[x509.Certificate, ...]
    authorities: tuple[x509.Certificate, ...]

    @property
    def fingerprints(self) -> frozenset[str]:
        """Those of all these certificates, lower-case hex."""
        return frozenset(fingerprint_of(one) for one in (*self.chain, *self.authorities))

    def __repr__(self) -> str:
        # Never the key.
        return f"<ServerIdentity certificates={len(self.fingerprints)}>"


def check_identity(
    files: IdentityFiles, contents: Contents, now: datetime, before: Contents | None = None
) -> ServerIdentity:
    """Returns the server's identity that three of the files hold.

    Args:
        files: Where they are, for messages.
        contents: What they hold.
        now: The time that the certificates have to be valid at.
        before: What they held before, which was valid then: what has expired since is no reason to refuse the rest.

    Raises:
        ConfigurationError: If a file is not what it should be, a certificate is not valid now, or others can read the
            key; whoever configures the daemon has to mend it.
    """
    problems = Problems()
    fresh = contents.changes(before)
    certificate, key, ca = (contents.files[name] for name in ("cert", "key", "ca"))
    chain = problems.of(_certificates, certificate, files.cert, "--cert")
    authorities = problems.of(_certificates, ca, files.ca, "--ca")
    public_key = problems.of(_public_key, key, files.key)
    own_key = problems.of(_certified_key, chain[0], files.cert) if chain else None
    if chain:
        if "cert" in fresh:
            problems.of(_check_valid, chain[0], now, f"the server's certificate {files.cert}", "--cert")
        if public_key is not None and own_key is not None and public_key != own_key:
            problems.add(f"the key {files.key} is not that of {files.cert}; give another --key or --cert")
    if authorities and "ca" in fresh:
        latest = max(authorities, key=lambda one: one.not_valid_after_utc)
        problems.of(_check_valid, latest, now, f"the CA {files.ca}", "--ca")
    # Everyone has the published keys, whatever the mode of a copy is.
    if contents.key_exposure and not (chain and fingerprint_of(chain[0]) in PUBLISHED):
        problems.add(f"the key {files.key} {contents.key_exposure}")
    if problems or chain is None or authorities is None:
        raise problems.error()
    return ServerIdentity(certificate, key, ca, tuple(chain), tuple(authorities))


def fingerprint_of(certificate: x509.Certificate) -> str:
    """Returns the fingerprint of a certificate, lower-case hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _certificates(pem: bytes, path: Path, option: str) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except MALFORMED:
        raise ConfigurationError(f"no PEM certificate in {path}; give another {option}") from None


def _certified_key(certificate: x509.Certificate, path: Path) -> object:
    try:
        return certificate.public_key()
    except MALFORMED:
        raise ConfigurationError(f"the key in {path} is of an unknown kind; give another --cert") from None


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
        return public_key_of(pem)
    except TypeError:
        raise ConfigurationError(f"the key {path} is encrypted; give one that is not (--key)") from None
    except MALFORMED:
        raise ConfigurationError(f"no PEM private key in {path}; give another --key") from None
