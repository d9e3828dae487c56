"""The checks of certificates, key and CA."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from devcerts import Authority, DevelopmentSet, KeyType, Validity
from jobworker.daemon.certificates import ServerIdentity, check_identity
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.identity_files import IdentityFiles, read_files

_EC = KeyType.EC_P256
_YESTERDAY = Validity.days(-2, -1)
_TOMORROW = Validity.days(1, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good set."""
    DevelopmentSet.make(key_type=_EC).write(tmp_path)
    return tmp_path


def _check(*paths: Path, now: datetime | None = None) -> ServerIdentity:
    cert, key, ca = paths
    files = IdentityFiles(cert, key, ca, roles=Path(__file__), crl=None)
    return check_identity(files, read_files(files, os.geteuid()), now or datetime.now(UTC))


def _load(folder: Path, **files: str) -> str:
    names = {"cert": "server-cert.pem", "key": "server-key.pem", "ca": "ca-cert.pem", **files}
    try:
        return repr(_check(*(folder / names[part] for part in ("cert", "key", "ca"))))
    except ConfigurationError as error:
        message = str(error)
        assert "\n" not in message
        return message


def test_good_files(folder: Path) -> None:
    """A set that belongs together is taken, with the fingerprints of all its certificates and nothing of its key."""
    made = _check(folder / "server-cert.pem", folder / "server-key.pem", folder / "ca-cert.pem")
    assert len(made.fingerprints) == 2
    assert made.key == (folder / "server-key.pem").read_bytes()
    assert "PRIVATE" not in repr(made)


@pytest.mark.parametrize("part", ["cert", "key", "ca"])
def test_missing_file(folder: Path, part: str) -> None:
    """A file that isn't there is named, with the option that named it."""
    assert (
        _load(folder, **{part: "gone"}) == f"can't read {folder}/gone: No such file or directory; give another --{part}"
    )


@pytest.mark.parametrize("part", ["cert", "key", "ca"])
def test_directory_for_a_file(folder: Path, part: str) -> None:
    """A directory is not read, and said to be one."""
    assert "Is a directory" in _load(folder, **{part: "."})


@pytest.mark.parametrize("part", ["cert", "key", "ca"])
def test_unreadable_file(folder: Path, part: str) -> None:
    """A file that can't be read is named, with the kernel's reason; this one can't even by root."""
    assert "can't read /proc/self/mem: Input/output error" in _load(folder, **{part: "/proc/self/mem"})


@pytest.mark.parametrize("part", ["cert", "key", "ca"])
@pytest.mark.parametrize(
    "content", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\0\xff"]
)
def test_not_pem(folder: Path, part: str, content: bytes) -> None:
    """A file of another kind is named."""
    (folder / "wrong").write_bytes(content)
    assert f"in {folder}/wrong; give another --{part}" in _load(folder, **{part: "wrong"})


def test_swapped_files(folder: Path) -> None:
    """A key where the certificate belongs is found."""
    assert "no PEM certificate" in _load(folder, cert="server-key.pem")
    assert "no PEM private key" in _load(folder, key="server-cert.pem")


def test_foreign_key(folder: Path) -> None:
    """A key of another certificate is found before any handshake fails of it."""
    assert "is not that of" in _load(folder, key="client-key.pem")


def test_encrypted_key(folder: Path) -> None:
    """An encrypted key is said to be one; there is nobody to ask for its password."""
    identity = Authority("x", key_type=_EC).identity
    (folder / "locked").write_bytes(
        identity.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
    )
    assert "is encrypted" in _load(folder, key="locked")


@pytest.mark.parametrize(("validity", "problem"), [(_YESTERDAY, "expired at"), (_TOMORROW, "is not valid before")])
def test_server_certificate_out_of_time(folder: Path, validity: Validity, problem: str) -> None:
    """A server certificate that no client would accept keeps the daemon from starting."""
    Authority("ca", key_type=_EC).issue("late", key_type=_EC, validity=validity).write(folder, "late")
    message = _load(folder, cert="late-cert.pem", key="late-key.pem")
    assert problem in message
    assert message.endswith("give another --cert")


def test_expired_ca(folder: Path) -> None:
    """A CA that is over, so that no client could connect, is found; beside a good one it doesn't matter."""
    old = Authority("old", key_type=_EC, validity=_YESTERDAY).cert_pem
    (folder / "old.pem").write_bytes(old)
    (folder / "both.pem").write_bytes(old + (folder / "ca-cert.pem").read_bytes())
    assert "expired at" in _load(folder, ca="old.pem")
    assert _load(folder, ca="both.pem") == "<ServerIdentity certificates=3>"


def test_validity_ends_with_its_last_second(folder: Path) -> None:
    """The time asked about counts, to the second."""
    files = [folder / name for name in ("server-cert.pem", "server-key.pem", "ca-cert.pem")]
    _check(*files, now=datetime.now(UTC))
    with pytest.raises(ConfigurationError, match="expired"):
        _check(*files, now=datetime.now(UTC) + timedelta(days=365 * 1000))
