"""The library devcerts: what it signs, and how it writes."""

from __future__ import annotations

import datetime as dt
import stat
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID

from devcerts import AlreadyThereError, Authority, KeyType, Usage, Validity, fingerprint, roles_toml, write_new

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def authority() -> Authority:
    """An authority with a key that is quick to make."""
    return Authority("test CA", key_type=KeyType.EC_P256)


def test_an_authority_may_sign_leaves_and_nothing_else(authority: Authority) -> None:
    """The authority's extensions allow signing certificates, but no authority below it."""
    extensions = authority.identity.certificate.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)


def test_a_leaf_is_signed_by_its_authority(authority: Authority) -> None:
    """A leaf's signature, issuer and key identifiers lead to the authority."""
    leaf = authority.issue("leaf", key_type=KeyType.EC_P256).certificate
    parent = authority.identity.certificate
    leaf.verify_directly_issued_by(parent)
    issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    subject = parent.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert issuer.key_identifier == subject.key_identifier
    assert leaf.signature_hash_algorithm is not None
    assert leaf.signature_hash_algorithm.name == SHA256.name


def test_a_leaf_is_no_authority(authority: Authority) -> None:
    """Nobody can sign certificates with a leaf's key."""
    extensions = authority.issue("leaf", key_type=KeyType.EC_P256).certificate.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (constraints.critical, constraints.value.ca) == (True, False)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, False, True)


def test_alternative_names_are_told_apart_from_addresses(authority: Authority) -> None:
    """What looks like an address becomes one, IPv6 included; the rest are DNS names."""
    leaf = authority.issue("x", alternative_names=["localhost", "127.0.0.1", "::1"], key_type=KeyType.EC_P256)
    names = leaf.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("127.0.0.1"), ip_address("::1")]


def test_the_common_name_is_the_alternative_name_by_default(authority: Authority) -> None:
    """No certificate is without a subject alternative name."""
    leaf = authority.issue("viewer", key_type=KeyType.EC_P256).certificate
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["viewer"]


@pytest.mark.parametrize(
    ("usages", "expected"),
    [
        ([Usage.SERVER], [ExtendedKeyUsageOID.SERVER_AUTH]),
        ([Usage.CLIENT], [ExtendedKeyUsageOID.CLIENT_AUTH]),
        ([Usage.SERVER, Usage.CLIENT], [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
    ],
)
def test_usages_are_as_asked(authority: Authority, usages: list[Usage], expected: list[x509.ObjectIdentifier]) -> None:
    """Tests of wrong usages can rely on the extension."""
    leaf = authority.issue("x", usages=usages, key_type=KeyType.EC_P256).certificate
    assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == expected


def test_no_usage_leaves_the_extension_out(authority: Authority) -> None:
    """An empty extended key usage would not be valid."""
    leaf = authority.issue("x", usages=[], key_type=KeyType.EC_P256).certificate
    with pytest.raises(x509.ExtensionNotFound):
        leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage)


def test_validity_is_as_asked_even_past_2050(authority: Authority) -> None:
    """Dates past 2038 and 2050, where encodings change, are kept."""
    begin, end = dt.datetime(2037, 1, 1, tzinfo=dt.UTC), dt.datetime(2055, 6, 7, 8, 9, 10, tzinfo=dt.UTC)
    leaf = authority.issue("x", key_type=KeyType.EC_P256, validity=Validity(begin, end)).certificate
    assert (leaf.not_valid_before_utc, leaf.not_valid_after_utc) == (begin, end)


def test_a_validity_that_ends_before_it_begins_is_refused(authority: Authority) -> None:
    """A slip in a test's dates does not pass for a certificate that is over."""
    with pytest.raises(ValueError, match="before"):
        authority.issue("x", key_type=KeyType.EC_P256, validity=Validity.days(2, 1))


def test_serial_numbers_differ(authority: Authority) -> None:
    """Two certificates for one name are two."""
    first, second = (authority.issue("x", key_type=KeyType.EC_P256) for _ in range(2))
    assert first.certificate.serial_number != second.certificate.serial_number
    assert first.fingerprint != second.fingerprint


def test_key_types() -> None:
    """The default is RSA with 4096 bits; tests can have P-256."""
    large, small = KeyType.RSA_4096.generate(), KeyType.EC_P256.generate()
    assert isinstance(large, rsa.RSAPrivateKey)
    assert large.key_size == 4096
    assert isinstance(small, ec.EllipticCurvePrivateKey)
    assert small.curve.name == "secp256r1"


def test_repr_keeps_the_key_to_itself(authority: Authority) -> None:
    """A failing assertion or a log line never holds a private key."""
    assert repr(authority).startswith("<Authority <Identity CN=test CA ")
    assert "key" not in repr(authority.identity)


def test_fingerprint_is_that_of_the_whole_certificate(authority: Authority) -> None:
    """The fingerprint is 64 lower-case hexadecimal digits."""
    leaf = authority.issue("x", key_type=KeyType.EC_P256)
    assert fingerprint(leaf.certificate) == leaf.certificate.fingerprint(SHA256()).hex() == leaf.fingerprint
    assert len(leaf.fingerprint) == 64


def test_written_files_and_their_modes(authority: Authority, tmp_path: Path) -> None:
    """A key is readable for its owner alone, even in a folder that had to be made."""
    leaf = authority.issue("x", key_type=KeyType.EC_P256)
    cert, key = leaf.write(tmp_path / "a" / "b", "leaf")
    assert (cert.read_bytes(), key.read_bytes()) == (leaf.cert_pem, leaf.key_pem)
    assert (cert.name, key.name) == ("leaf-cert.pem", "leaf-key.pem")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """One file in the way stops the whole set, and stays as it is."""
    (tmp_path / "two").write_text("old")
    with pytest.raises(AlreadyThereError, match="two exists and is not overwritten"):
        write_new(tmp_path, {"one": b"1", "two": b"2"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["two"]
    assert (tmp_path / "two").read_text() == "old"


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    """A symbolic link counts as a file in the way, even if what it names is missing."""
    (tmp_path / "one").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AlreadyThereError):
        write_new(tmp_path, {"one": b"1"})
    assert not (tmp_path / "elsewhere").exists()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """If one file cannot be written, those before it and the new folders are removed."""
    with pytest.raises(OSError, match="name too long"):
        write_new(tmp_path / "new" / "er", {"one": b"1", "x" * 300: b"2"})
    assert list(tmp_path.iterdir()) == []


def test_role_table_names_every_client() -> None:
    """The table's comments say whose fingerprints they are."""
    table = roles_toml(full={"alice": "aa", "bob": "bb"}, log={})
    assert '    "aa", # alice\n    "bb", # bob\n]' in table
    assert "LOG = [\n]" in table
