"""Owns keys and the pairing of a certificate with its key; signs nothing."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from devcerts.files import write_new

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@final
class KeyType(enum.Enum):
    """A kind of key pair."""

    #: What the development certificates use. Takes seconds to make.
    RSA_4096 = "rsa-4096"
    #: For tests that need many keys. Takes less than a millisecond to make.
    EC_P256 = "ec-p256"

    def generate(self) -> PrivateKey:
        """Makes a new key of this kind."""
        if self is KeyType.RSA_4096:
            return rsa.generate_private_key(public_exponent=65537, key_size=4096)
        return ec.generate_private_key(ec.SECP256R1())


def fingerprint(certificate: x509.Certificate) -> str:
    """Returns the SHA-256 over the certificate's whole DER encoding, in lower-case hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


@final
@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and the private key that belongs to it.

    Attributes:
        certificate: the certificate.
        key: its private key; not shown by repr.
    """

    certificate: x509.Certificate
    key: PrivateKey

    def __repr__(self) -> str:
        """Names the certificate and keeps the key to itself."""
        return f"<Identity {self.certificate.subject.rfc4514_string()} {self.fingerprint[:8]}>"

    @property
    def fingerprint(self) -> str:
        """The certificate's fingerprint, as a role table names it."""
        return fingerprint(self.certificate)

    @property
    def cert_pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key in PEM (PKCS #8), unencrypted."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def files(self, stem: str) -> dict[str, bytes]:
        """Returns the content of `<stem>-cert.pem` and `<stem>-key.pem` by file name."""
        return {f"{stem}-cert.pem": self.cert_pem, f"{stem}-key.pem": self.key_pem}

    def write(self, directory: Path, stem: str) -> tuple[Path, Path]:
        """Writes `<stem>-cert.pem` and `<stem>-key.pem` and returns their paths.

        Raises:
            AlreadyThereError: one of the two exists. Nothing was written.
            OSError: they could not be written. Nothing is left behind.
        """
        cert, key = write_new(directory, self.files(stem))
        return cert, key
