"""Certificates and revocation lists: those of peers, the daemon's own, and those that a CA really signed."""

from __future__ import annotations

import ssl
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from jobworker.daemon.certificates import ServerIdentity, check_identity, fingerprint_of
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.identity_files import Contents, IdentityFiles
from jobworker.daemon.judgement import Verdict, judge
from jobworker.daemon.peer import fingerprint_of as fingerprint_of_pem
from jobworker.daemon.peer import peer_of
from jobworker.daemon.principals import Principal, PrincipalTable, Role
from jobworker.daemon.revocation import Revocations, parse_revocations
from jobworker.daemon.snapshot import Snapshot
from jobworker_fuzz.target import Target

_FINGERPRINT_DIGITS = 64
_FILES = IdentityFiles(Path("cert"), Path("key"), Path("ca"), Path("roles"), None)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(2025, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
# A key that is no secret, so that all runs are of the same bytes.
_KEY = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
_NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fuzz CA")])
# Of a DER value: its tag, and the algorithm ecdsa-with-SHA256.
_SEQUENCE, _BIT_STRING = 0x30, 0x03
_ALGORITHM = bytes.fromhex("300a06082a8648ce3d040302")


@cache
def authority() -> x509.Certificate:
    """Returns a CA's certificate, of `_KEY`."""
    builder = x509.CertificateBuilder(_NAME, _NAME, _KEY.public_key(), 1, _FIRST, _LAST)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return builder.add_extension(usage, critical=True).sign(_KEY, hashes.SHA256())


@cache
def client() -> x509.Certificate:
    """Returns a client's certificate, of the CA and the same key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fuzz client")])
    builder = x509.CertificateBuilder(_NAME, name, _KEY.public_key(), 2, _FIRST, _LAST)
    return builder.sign(_KEY, hashes.SHA256())


@cache
def snapshot() -> Snapshot:
    """Returns what a daemon knows that lets that client in, and nobody else."""
    principals = PrincipalTable.of([Principal("ci", Role.LOG, (fingerprint_of(client()),))])
    return Snapshot(1, ServerIdentity(b"", b"", b"", (), (authority(),)), principals, Revocations(), Contents({}, ""))


@cache
def expected() -> Verdict:
    """Returns what is to be said of that client, as long as it sends nothing beside its certificate."""
    return judge(_pem(client()), b"", snapshot())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def signed(content: bytes) -> bytes:
    """Returns any bytes as the content of a list or a certificate that the CA signed, DER."""
    signature = _KEY.sign(content, ec.ECDSA(hashes.SHA256()))
    return _der(_SEQUENCE, content + _ALGORITHM + _der(_BIT_STRING, b"\0" + signature))


def _der(tag: int, value: bytes) -> bytes:
    length = len(value)
    if length < 1 << 7:
        return bytes((tag, length)) + value
    encoded = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 1 << 7 | len(encoded))) + encoded + value


def _peers(data: bytes) -> None:
    with suppress(ValueError):
        assert len(fingerprint_of_pem.__wrapped__(data)) == _FINGERPRINT_DIGITS
    with suppress(ValueError):
        assert bool(peer_of({"x509_common_name": [data], "x509_pem_cert": [data]}).fingerprint) == bool(data)
    assert not peer_of({"x509_common_name": [data]}).fingerprint


def _certificates(data: bytes) -> None:
    key = _KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # As they are, and as what a CA signed: it is what a certificate says that is of interest.
    for pem in (data, ssl.DER_cert_to_PEM_cert(data).encode(), ssl.DER_cert_to_PEM_cert(signed(data)).encode()):
        with suppress(ConfigurationError):
            identity = check_identity(_FILES, Contents({"cert": pem, "key": key, "ca": pem}, ""), _NOW)
            assert identity.fingerprints
    with suppress(ConfigurationError):
        check_identity(_FILES, Contents({"cert": data, "key": data, "ca": data}, ""), _NOW)


def _judgement(data: bytes) -> None:
    assert expected().caller
    for other in (data, ssl.DER_cert_to_PEM_cert(data).encode(), ssl.DER_cert_to_PEM_cert(signed(data)).encode()):
        # What a client sends along can cost it its right, but never give it more or longer.
        verdict = judge(_pem(client()), other, snapshot())
        assert verdict == expected() or verdict.caller is None
        verdict = judge(other, _pem(client()), snapshot())
        assert verdict.caller is None or fingerprint_of(x509.load_pem_x509_certificate(other)) == fingerprint_of(
            client()
        )


def _revocations(data: bytes) -> None:
    for content in (data, signed(data)):
        try:
            found = parse_revocations(content, Path("crl"), [authority()], _NOW)
        except ConfigurationError:
            continue
        assert found.lists
        assert found.stale_at()
        found.revoke(authority())


TARGETS = (
    Target("peers", _peers),
    Target("certificates", _certificates),
    Target("judgement", _judgement),
    Target("revocations", _revocations),
)
"""The targets of certificates."""
