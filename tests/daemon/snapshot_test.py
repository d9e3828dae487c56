"""Snapshots of the files: what is checked of those that changed, and what of those that did not."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

import pytest

from identity_world import LivePki, crl, pem
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.identity_files import IdentityFiles, read_files
from jobworker.daemon.snapshot import Snapshot, make_snapshot

if TYPE_CHECKING:
    from pathlib import Path

_NOW = dt.datetime.now(dt.UTC)
_LATER = _NOW + dt.timedelta(days=365 * 30)


@pytest.fixture
def live(tmp_path: Path) -> LivePki:
    """The files."""
    return LivePki.make(tmp_path / "files")


def _make(live: LivePki, now: dt.datetime, before: Snapshot | None = None) -> Snapshot:
    names = ("server-cert.pem", "server-key.pem", "ca-cert.pem", "roles.toml", "crl.pem")
    cert, key, ca, roles, lists = (live.folder / name for name in names)
    files = IdentityFiles(cert, key, ca, roles, lists)
    contents = read_files(files, os.geteuid(), before and before.contents)
    return make_snapshot(files, contents, now, before=before, published_allowed=True)


def test_generations(live: LivePki) -> None:
    """Each snapshot has a number, one more than that of the one before."""
    first = _make(live, _NOW)
    assert (first.generation, _make(live, _NOW, first).generation) == (1, 2)
    assert repr(first) == "<Snapshot 1 <PrincipalTable principals=2 fingerprints=2>>"


def test_what_expired_in_force_does_not_keep_new_files_out(live: LivePki) -> None:
    """Else nobody's access could be taken while a certificate or a revocation list waits to be renewed."""
    first = _make(live, _NOW)
    with pytest.raises(ConfigurationError, match="expired"):
        _make(live, _LATER)
    live.grant(full=["stranger"])
    made = _make(live, _LATER, first)
    assert made.principals.caller(live.clients["stranger"].fingerprint)
    assert not made.principals.caller(live.clients["full"].fingerprint)


@pytest.mark.parametrize("changed", ["server-cert.pem", "ca-cert.pem", "crl.pem"])
def test_what_is_new_has_to_be_valid(live: LivePki, changed: str) -> None:
    """A file that changed is refused if it has expired, even if what it replaces has too."""
    first = _make(live, _NOW)
    fresh = {
        "server-cert.pem": (live.folder / "server-cert.pem").read_bytes() + b"\n",
        "ca-cert.pem": live.authority.cert_pem + b"\n",
        "crl.pem": pem(crl(live.authority)),
    }
    live.replace(changed, fresh[changed])
    with pytest.raises(ConfigurationError, match="expired") as caught:
        _make(live, _LATER, first)
    assert changed in str(caught.value)
    assert len(caught.value.problems) == 1


def test_a_role_table_that_is_not_utf_8(live: LivePki) -> None:
    """It is said on which line."""
    live.replace("roles.toml", b"FULL = []\n# \xff\n")
    with pytest.raises(ConfigurationError, match=r"roles\.toml:2: not UTF-8 \(byte 12\)"):
        _make(live, _NOW)
