"""What docs/clients.md says of grpcurl is so: its commands, run as they stand, print what it shows."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from jobworker_testing import DaemonProcess, daemon_options

DOCS = Path("docs/clients.md")
ADDRESS = "ADDRESS=127.0.0.1:8080\n"
# What the docs have built first was built for this test.
BAZELW = """#!/bin/sh
[ "$*" = "build //proto:job_worker_descriptor_set" ]
"""


def steps(text: str) -> list[tuple[str, str]]:
    """Returns the commands of the section, each with the output that it shows."""
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    (grpcurl,) = [each for each in section if each.startswith("grpcurl\n")]
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", grpcurl, flags=re.MULTILINE | re.DOTALL)
    assert [kind for kind, _ in blocks] == ["sh", "text"] * (len(blocks) // 2)
    contents = [content for _, content in blocks]
    return list(zip(contents[::2], contents[1::2], strict=True))


def pattern(shown: str) -> re.Pattern[str]:
    """Returns what an output has to match: the text itself, where … stands for anything."""
    return re.compile(".*?".join(map(re.escape, shown.split("…"))), re.DOTALL)


@pytest.fixture
def grpcurl() -> Path:
    """The program, as an absolute path."""
    path = Path(os.environ["GRPCURL"])
    if path.name == "unavailable.txt":
        pytest.skip(f"grpcurl was not run, it is not to be had here: {path.read_text().strip()}")
    return path.absolute()


@pytest.fixture
def clone(grpcurl: Path, tmp_path: Path) -> Path:
    """A folder that has of a clone what the commands name."""
    for name in ("certs", "proto"):
        (tmp_path / name).symlink_to(Path(name).absolute())
    built = tmp_path / ".bazel/bin/proto"
    built.mkdir(parents=True)
    (built / "job_worker_descriptor_set.binpb").symlink_to(Path(os.environ["DESCRIPTOR_SET"]).absolute())
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/grpcurl").symlink_to(grpcurl)
    (tmp_path / "bazelw").write_text(BAZELW)
    (tmp_path / "bazelw").chmod(0o755)
    return tmp_path


def run(commands: list[str], clone: Path) -> list[str]:
    """Runs each of the commands in one shell, which ends at the first that fails, and returns what each wrote."""
    blocks = [f"{{\n{each}}} > out.{number} 2>&1\n" for number, each in enumerate(commands)]
    environment = {"PATH": f"{clone}/bin:{os.environ['PATH']}"}
    script = ["sh", "-euc", "".join(blocks)]
    code = subprocess.run(script, cwd=clone, env=environment, check=False, stdin=subprocess.DEVNULL).returncode
    outputs = [file.read_text() for number in range(len(blocks)) if (file := clone / f"out.{number}").exists()]
    assert code == 0, outputs[-1]
    return outputs


def test_each_command_does_as_the_docs_say(clone: Path) -> None:
    """Reflection, the descriptor set and the proto itself each let grpcurl drive a real daemon over mutual TLS."""
    documented = steps(DOCS.read_text())
    certs = Path("certs").absolute()
    with DaemonProcess([str(Path(os.environ["WORKER_DAEMON"]).absolute())], *daemon_options(certs)) as daemon:
        commands = [command.replace(ADDRESS, f"ADDRESS={daemon.address}\n") for command, _ in documented]
        assert commands != [command for command, _ in documented]
        outputs = run(commands, clone)
    for (command, shown), output in zip(documented, outputs, strict=True):
        assert pattern(shown).fullmatch(output), f"{command}\nprinted\n{output}\nand not\n{shown}"


def test_a_command_that_fails_is_seen(tmp_path: Path) -> None:
    """Neither a failure in the middle of a block nor another output goes through."""
    with pytest.raises(AssertionError, match="no such thing"):
        run(["echo fine\n", "echo no such thing; false; echo on\n"], tmp_path)
    assert pattern("a…c\n").fullmatch("abc\n")
    assert not pattern("a…c\n").fullmatch("abd\n")
    assert not pattern("a.c\n").fullmatch("abc\n")
