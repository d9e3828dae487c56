"""The program that makes a fresh set, run as a user runs it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest
from cryptography import x509

from devcerts import FILE_NAMES, fingerprint

MAKE = Path(os.environ["CERTS_MAKE"]).absolute()


def run_make(*arguments: str, typed_in: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the program in a folder and returns what it said."""
    clean = {name: value for name, value in os.environ.items() if name != "BUILD_WORKING_DIRECTORY"}
    return subprocess.run(
        [MAKE, *arguments], cwd=typed_in, env=clean | environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A fresh set in a folder, and what the program printed."""
    base = tmp_path_factory.mktemp("base")
    done = run_make("fresh", typed_in=base)
    assert (done.returncode, done.stderr) == (0, "")
    return base / "fresh", done.stdout


def test_the_set_is_complete_and_its_keys_private(made: tuple[Path, str]) -> None:
    """Every file is there, and each key is readable for its owner alone."""
    folder, _ = made
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILE_NAMES)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*-key.pem")} == {0o600}


def test_the_role_table_fits_the_set(made: tuple[Path, str]) -> None:
    """The client has FULL, the viewer LOG."""
    folder, _ = made
    prints = {
        who: fingerprint(x509.load_pem_x509_certificate((folder / f"{who}-cert.pem").read_bytes()))
        for who in ("client", "viewer")
    }
    table = tomllib.loads((folder / "roles.toml").read_text())
    assert table == {"FULL": [prints["client"]], "LOG": [prints["viewer"]]}


def test_fingerprints_and_table_are_printed(made: tuple[Path, str]) -> None:
    """The user can copy both from the terminal."""
    folder, printed = made
    cert = x509.load_pem_x509_certificate((folder / "server-cert.pem").read_bytes())
    assert f"server  {fingerprint(cert)}\n" in printed
    assert (folder / "roles.toml").read_text().rstrip() in printed


def test_fingerprints_are_openssls(made: tuple[Path, str]) -> None:
    """The documented openssl command gives the same fingerprint."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    cert = made[0] / "client-cert.pem"
    command = [openssl, "x509", "-noout", "-fingerprint", "-sha256", "-in", str(cert)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.split("=")[1].strip().replace(":", "").lower() == fingerprint(
        x509.load_pem_x509_certificate(cert.read_bytes())
    )


def test_an_existing_file_stops_it(made: tuple[Path, str]) -> None:
    """One clear line, exit code 1, and every file as it was."""
    folder, _ = made
    before = {path: path.read_bytes() for path in folder.iterdir()}
    done = run_make(".", typed_in=folder)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "ca-cert.pem exists and is not overwritten" in done.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_paths_are_relative_to_where_the_command_was_typed(made: tuple[Path, str], tmp_path: Path) -> None:
    """Under `bazel run` the program runs elsewhere, and still finds the user's folder."""
    folder, _ = made
    done = run_make(folder.name, typed_in=tmp_path, BUILD_WORKING_DIRECTORY=str(folder.parent))
    assert f"{folder}/ca-cert.pem exists" in done.stderr


def test_wrong_usage() -> None:
    """No folder or two are wrong usage: one line, exit code 2."""
    for arguments in ([], ["one", "two"]):
        done = run_make(*arguments, typed_in=Path.cwd())
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    """One line that says why, exit code 1."""
    (tmp_path / "file").touch()
    done = run_make("file", typed_in=tmp_path)
    assert (done.returncode, done.stderr) == (1, "make: cannot write to file: Not a directory\n")
