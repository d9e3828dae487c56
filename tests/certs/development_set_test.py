"""The committed certificates: what the README promises of them."""

from __future__ import annotations

import datetime as dt
import tomllib
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from devcerts import fingerprint

CERTS = Path("certs")
LEAVES = ("server", "client", "viewer")


def certificate(who: str) -> x509.Certificate:
    """Returns a committed certificate."""
    return x509.load_pem_x509_certificate((CERTS / f"{who}-cert.pem").read_bytes())


@pytest.mark.parametrize("who", ["ca", *LEAVES])
def test_each_is_rsa_4096_with_its_own_key(who: str) -> None:
    """Certificate and key belong together, version 3, RSA 4096, SHA-256."""
    cert = certificate(who)
    public = cert.public_key()
    key = load_pem_private_key((CERTS / f"{who}-key.pem").read_bytes(), password=None)
    assert isinstance(public, rsa.RSAPublicKey)
    assert (cert.version, public.key_size) == (x509.Version.v3, 4096)
    assert cert.signature_algorithm_oid._name == "sha256WithRSAEncryption"
    as_der = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public.public_bytes(*as_der) == key.public_key().public_bytes(*as_der)


@pytest.mark.parametrize("who", LEAVES)
def test_each_is_issued_by_the_authority_for_twenty_years(who: str) -> None:
    """One CA file verifies all of them, for a long time."""
    cert = certificate(who)
    cert.verify_directly_issued_by(certificate("ca"))
    assert cert.not_valid_before_utc < dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert cert.not_valid_after_utc > dt.datetime(2046, 1, 1, tzinfo=dt.UTC)


def test_the_servers_names() -> None:
    """A client may call the server by each of its loopback names, and by the CLI's default address."""
    names = certificate("server").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = [ip_address("127.0.0.1"), ip_address("::1"), ip_address("0.0.0.0")]  # noqa: S104 - a name, not a binding
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == addresses


@pytest.mark.parametrize(
    ("who", "usage"),
    [
        ("server", ExtendedKeyUsageOID.SERVER_AUTH),
        ("client", ExtendedKeyUsageOID.CLIENT_AUTH),
        ("viewer", ExtendedKeyUsageOID.CLIENT_AUTH),
    ],
)
def test_each_has_one_use(who: str, usage: x509.ObjectIdentifier) -> None:
    """A client's certificate cannot pose as the server's, nor the other way round."""
    assert list(certificate(who).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]


def test_the_role_table_names_them() -> None:
    """The client has FULL and the viewer LOG, and nobody else has a role."""
    table = tomllib.loads((CERTS / "roles.toml").read_text())
    assert table == {"FULL": [fingerprint(certificate("client"))], "LOG": [fingerprint(certificate("viewer"))]}
