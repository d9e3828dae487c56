"""The files that say who the daemon is: reading them, who can get at the key, and the ways that lead to them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.identity_files import Contents, IdentityFiles, exposure_of, read_files
from jobworker.daemon.path_steps import steps

if TYPE_CHECKING:
    from pathlib import Path

_ME, _OTHER = 1000, 1001


@pytest.mark.parametrize(
    ("mode", "owner", "uid"),
    [(0o600, _ME, _ME), (0o400, _ME, _ME), (0o700, _ME, _ME), (0o600, 0, 0), (0o600, 0, _ME), (0o640, 0, _ME)],
)
def test_private_keys(mode: int, owner: int, uid: int) -> None:
    """A key of one's own that nobody else can read will do, and so will one of root's, lent to one's group."""
    assert exposure_of(mode, owner, uid) == ""


@pytest.mark.parametrize(
    ("mode", "owner", "uid", "problem"),
    [
        (0o640, _ME, _ME, "has the mode 0640"),
        (0o604, _ME, _ME, "has the mode 0604"),
        (0o620, _ME, _ME, "has the mode 0620"),
        (0o640, 0, 0, "has the mode 0640"),
        (0o644, 0, _ME, "has the mode 0644"),
        (0o660, 0, _ME, "has the mode 0660"),
        (0o600, _OTHER, _ME, "belongs to user 1001"),
        (0o600, _OTHER, 0, "belongs to user 1001"),
    ],
)
def test_exposed_keys(mode: int, owner: int, uid: int, problem: str) -> None:
    """A key that others can read, or change, is none; it is said why, and what to do."""
    assert exposure_of(mode, owner, uid).startswith(problem)
    assert "; ch" in exposure_of(mode, owner, uid)


def _files(folder: Path, crl: Path | None = None) -> IdentityFiles:
    for name in ("cert", "key", "ca", "roles"):
        (folder / name).write_bytes(name.encode())
    (folder / "key").chmod(0o600)
    return IdentityFiles(folder / "cert", folder / "key", folder / "ca", folder / "roles", crl)


def test_what_changed(tmp_path: Path) -> None:
    """The options whose files differ are named; a repr shows nothing of a key."""
    files = _files(tmp_path)
    before = read_files(files, os.geteuid())
    (tmp_path / "roles").write_bytes(b"other")
    after = read_files(files, os.geteuid(), before)
    assert after.changes(before) == ["roles"]
    assert after != before
    assert repr(before) == "<Contents files=4>"


def test_all_unreadable_files_are_named(tmp_path: Path) -> None:
    """Each is a problem of its own."""
    files = _files(tmp_path, crl=tmp_path / "none")
    (tmp_path / "cert").unlink()
    with pytest.raises(ConfigurationError) as caught:
        read_files(files, os.geteuid())
    assert [problem.rpartition(" ")[2] for problem in caught.value.problems] == ["--cert", "--crl"]


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    """What it held goes on; to read it again would find nothing, or wait for ever."""
    files = _files(tmp_path)
    (tmp_path / "roles").unlink()
    os.mkfifo(tmp_path / "roles")
    before = Contents({"cert": b"", "key": b"", "ca": b"", "roles": b"once"}, "")
    assert read_files(files, os.geteuid(), before).files["roles"] == b"once"


def test_steps_of_a_path() -> None:
    """Each entry that a path leads through is found, with the directory where it is; links are followed."""
    links = {"/etc/tls.crt": "data/tls.crt", "/etc/data": "./v1", "/srv": "/etc/../etc"}
    assert list(steps("/srv/tls.crt", links.get)) == [
        ("/", "srv"),
        ("/", "etc"),
        ("/", "etc"),
        ("/etc", "tls.crt"),
        ("/etc", "data"),
        ("/etc", "v1"),
        ("/etc/v1", "tls.crt"),
    ]


def test_steps_of_links_in_a_circle() -> None:
    """They come to an end, as in the kernel."""
    assert len(list(steps("/a", {"/a": "b", "/b": "a"}.get))) == 41
