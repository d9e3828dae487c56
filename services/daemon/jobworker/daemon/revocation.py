"""Certificate revocation lists: what they revoke, and whether they may be believed; no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from cryptography import x509

from jobworker.daemon.certificates import MALFORMED
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.problems import Problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

_PEM = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)
# What these say is taken into account, or changes nothing here. One that says which part of an issuer's certificates it
# is about, by kind or by place, revokes no less for that.
_UNDERSTOOD = (x509.CRLNumber, x509.AuthorityKeyIdentifier, x509.IssuingDistributionPoint)


@final
@dataclass(frozen=True, slots=True, repr=False)
class RevocationList:
    """One list, whose signature was checked.

    Attributes:
        issuer: Whose certificates it is about.
        serials: The numbers of those that are revoked.
        next_update: When there is to be a newer one.
    """

    issuer: x509.Name
    serials: frozenset[int]
    next_update: datetime

    def __repr__(self) -> str:
        return f"<RevocationList {self.issuer.rfc4514_string()} revoked={len(self.serials)}>"


@final
@dataclass(frozen=True, slots=True)
class Revocations:
    """All lists; an issuer without one has revoked nothing."""

    lists: tuple[RevocationList, ...] = ()

    def revoke(self, certificate: x509.Certificate) -> bool:
        """Returns whether a certificate is revoked."""
        return any(one.issuer == certificate.issuer and certificate.serial_number in one.serials for one in self.lists)

    def stale_at(self) -> datetime | None:
        """Returns when the first of the lists is to be replaced by a newer one; None if there is no list."""
        return min((one.next_update for one in self.lists), default=None)


def parse_revocations(
    content: bytes, path: Path, authorities: Sequence[x509.Certificate], now: datetime | None
) -> Revocations:
    """Returns what a file of revocation lists says: one in DER, or any number in PEM.

    Args:
        content: What the file holds.
        path: Where it is, for messages.
        authorities: The CAs that may have signed the lists.
        now: The time that they have to be valid at; None if they were found valid before, and are in force.

    Raises:
        ConfigurationError: If there is no list in it, or one is not of these CAs or not valid now; whoever configures
            the daemon has to mend it.
    """
    problems = Problems()
    found = [
        (place, problems.of(_parsed, encoded, place, is_pem=is_pem))
        for encoded, place, is_pem in _encoded(content, path)
    ]
    lists = [problems.of(_checked, crl, place, authorities, now) for place, crl in found if crl is not None]
    if problems:
        raise problems.error()
    return Revocations(tuple(one for one in lists if one is not None))


def _encoded(content: bytes, path: Path) -> Iterator[tuple[bytes, str, bool]]:
    blocks = list(_PEM.finditer(content))
    if not blocks:
        yield content, str(path), False
    for block in blocks:
        line = content.count(b"\n", 0, block.start()) + 1
        yield block[0], f"{path}:{line}", True


def _parsed(encoded: bytes, place: str, *, is_pem: bool) -> x509.CertificateRevocationList:
    try:
        return x509.load_pem_x509_crl(encoded) if is_pem else x509.load_der_x509_crl(encoded)
    except MALFORMED:
        raise ConfigurationError(
            f"{place}: no certificate revocation list, PEM or DER; mend it or give another --crl"
        ) from None


def _checked(
    crl: x509.CertificateRevocationList, place: str, authorities: Sequence[x509.Certificate], now: datetime | None
) -> RevocationList:
    try:
        return _believed(crl, place, authorities, now)
    except MALFORMED:
        # Its parts are read when they are first asked for.
        raise ConfigurationError(f"{place}: the revocation list is malformed; give another --crl") from None


def _believed(
    crl: x509.CertificateRevocationList, place: str, authorities: Sequence[x509.Certificate], now: datetime | None
) -> RevocationList:
    """Returns what a list says, if it may be believed."""
    issuer = crl.issuer.rfc4514_string()
    if not any(_signed_by(crl, authority) for authority in authorities if authority.subject == crl.issuer):
        raise ConfigurationError(f"{place}: not signed by a CA of --ca (its issuer is {issuer!r}); give another --crl")
    if now is not None and now < crl.last_update_utc:
        raise ConfigurationError(
            f"{place}: not valid before {crl.last_update_utc:%Y-%m-%d %H:%M} UTC; give another --crl"
        )
    if crl.next_update_utc is None:
        raise ConfigurationError(f"{place}: doesn't say when it expires (no nextUpdate); give another --crl")
    if now is not None and now > crl.next_update_utc:
        raise ConfigurationError(f"{place}: expired at {crl.next_update_utc:%Y-%m-%d %H:%M} UTC; give a newer --crl")
    _check_extensions(crl, place)
    return RevocationList(crl.issuer, frozenset(one.serial_number for one in crl), crl.next_update_utc)


def _signed_by(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        if not authority.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign:
            return False
    except x509.ExtensionNotFound:
        # A CA that restricts its key to nothing may sign lists.
        pass
    try:
        return crl.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
    except MALFORMED:
        # The authority's key is of a kind that signs nothing, or the signature's is not known.
        return False


def _check_extensions(crl: x509.CertificateRevocationList, place: str) -> None:
    critical = [one.value for one in crl.extensions if one.critical]
    indirect = any(isinstance(one, x509.IssuingDistributionPoint) and one.indirect_crl for one in critical)
    if any(isinstance(one.value, x509.DeltaCRLIndicator) for one in crl.extensions):
        raise ConfigurationError(f"{place}: a delta, which tells but of changes; give the complete list (--crl)")
    if indirect:
        raise ConfigurationError(f"{place}: is about certificates of several CAs; give one list a CA (--crl)")
    if unknown := [one.oid.dotted_string for one in critical if not isinstance(one, _UNDERSTOOD)]:
        raise ConfigurationError(f"{place}: has the unknown critical extension {unknown[0]}; give another --crl")
