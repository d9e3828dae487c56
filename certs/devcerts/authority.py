"""Owns the signing of certificates by a self-signed authority; touches no files."""

from __future__ import annotations

import datetime as dt
import enum
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from devcerts.identity import Identity, KeyType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from devcerts.identity import PrivateKey

_LONG_DAYS = 25 * 365


@final
@dataclass(frozen=True, slots=True)
class Validity:
    """When a certificate is valid.

    Attributes:
        not_before: the first moment, with its time zone.
        not_after: the last moment, with its time zone.
    """

    not_before: dt.datetime
    not_after: dt.datetime

    @classmethod
    def days(cls, first: float, last: float) -> Self:
        """Returns a validity by days from now, such as -2 and -1 for one that is over."""
        now = dt.datetime.now(dt.UTC)
        return cls(now + dt.timedelta(days=first), now + dt.timedelta(days=last))

    @classmethod
    def long(cls) -> Self:
        """Returns a validity of 25 years, which began yesterday, for clocks that are slow."""
        return cls.days(-1, _LONG_DAYS)


@final
class Usage(enum.Enum):
    """What a certificate may be used for: its extended key usage."""

    #: To prove a server's name to its clients.
    SERVER = ExtendedKeyUsageOID.SERVER_AUTH
    #: To prove a client's identity to a server.
    CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


@final
class Authority:
    """A self-signed certificate authority that issues certificates for leaves only.

    Attributes:
        identity: the authority's own certificate and key.
    """

    def __init__(
        self,
        name: str,
        *,
        key_type: KeyType = KeyType.RSA_4096,
        validity: Validity | None = None,
    ) -> None:
        """Makes an authority with a new key.

        Args:
            name: its common name.
            key_type: the kind of its key.
            validity: when it is valid; by default for 25 years from now.
        """
        key = key_type.generate()
        builder = _unsigned(name, key, validity or Validity.long())
        builder = builder.issuer_name(_common_name(name))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(authority=True), critical=True)
        self.identity = Identity(builder.sign(key, hashes.SHA256()), key)

    def __repr__(self) -> str:
        """Names the authority."""
        return f"<Authority {self.identity!r}>"

    @property
    def cert_pem(self) -> bytes:
        """The authority's certificate in PEM: what its clients and servers trust."""
        return self.identity.cert_pem

    def issue(
        self,
        name: str,
        *,
        alternative_names: Sequence[str] = (),
        usages: Iterable[Usage] = (Usage.CLIENT,),
        key_type: KeyType = KeyType.RSA_4096,
        validity: Validity | None = None,
    ) -> Identity:
        """Issues a certificate for a new key.

        Args:
            name: the common name.
            alternative_names: DNS names and IP addresses; by default the common name alone.
            usages: what the certificate may be used for; none leaves the extension out.
            key_type: the kind of the new key.
            validity: when it is valid; by default for 25 years from now.

        Raises:
            ValueError: the validity ends before it begins.
        """
        key = key_type.generate()
        builder = _unsigned(name, key, validity or Validity.long())
        builder = builder.issuer_name(self.identity.certificate.subject)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(authority=False), critical=True)
        builder = builder.add_extension(_alternative_names(alternative_names or (name,)), critical=False)
        builder = builder.add_extension(self._key_identifier(), critical=False)
        if oids := [usage.value for usage in usages]:
            builder = builder.add_extension(x509.ExtendedKeyUsage(oids), critical=False)
        return Identity(builder.sign(self.identity.key, hashes.SHA256()), key)

    def _key_identifier(self) -> x509.AuthorityKeyIdentifier:
        subject = self.identity.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject.value)


def _unsigned(name: str, key: PrivateKey, validity: Validity) -> x509.CertificateBuilder:
    """What every certificate has, authority or not."""
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(_common_name(name))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity.not_before)
        .not_valid_after(validity.not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general_name(name) for name in names])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    # TLS 1.3 only ever signs with a leaf's key.
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
