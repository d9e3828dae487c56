"""Tests see what their targets declare, and nothing of the machine but the interpreter."""

import os
import sys
import sysconfig
from pathlib import Path

import grpc
import pytest

RUNFILES = Path(os.environ["RUNFILES_DIR"])


def test_interpreter_is_one_of_those_supported() -> None:
    """The lock holds for these versions."""
    assert (3, 11) <= sys.version_info[:2] <= (3, 13)


def test_imports_come_from_the_targets_or_the_standard_library() -> None:
    """The machine's own site-packages are not on the path, whatever is installed there."""
    standard_library = Path(sysconfig.get_path("stdlib"))
    archive = Path(sys.base_prefix, sys.platlibdir, f"python{sys.version_info.major}{sys.version_info.minor}.zip")
    machine = {standard_library, standard_library / "lib-dynload", archive}
    strays = [entry for entry in map(Path, sys.path) if not entry.is_relative_to(RUNFILES) and entry not in machine]
    assert strays == []


def test_packages_are_those_of_the_lock() -> None:
    """A package is imported from the repository that holds its locked wheel."""
    assert Path(grpc.__file__).is_relative_to(RUNFILES)


def test_environment_is_not_that_of_the_shell() -> None:
    """The variables that decide where programs and files are found are the same on every machine."""
    assert os.environ["PATH"].removeprefix(".:") == "/bin:/usr/bin:/usr/local/bin"
    assert os.environ["HOME"] == os.environ["TMPDIR"]


def test_network_is_loopback_alone() -> None:
    """There is no interface by which a test could reach another machine."""
    if Path("/proc/1/comm").read_text() != "linux-sandbox\n":
        pytest.skip("this kernel grants no linux-sandbox, so the network is that of the machine")
    interfaces = [line.partition(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]]
    assert interfaces == ["lo"]
