"""A job's first process is made without a copy of the one that makes it, and comes out as a fork would make it."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobworker.supervisor.clone import ChildError, clone_into
from jobworker.supervisor.vfork import is_there, vfork_into
from process_support import cgroup_for_tests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NoReturn

PYTHON = sys.executable.encode()

# What a process can see of how it was made, but for what is each process's own.
LOOK = """
import json, os, sys
with open("/proc/self/status") as status:
    signals = [line.split() for line in status if line.startswith(("SigBlk", "SigIgn", "SigCgt", "NoNewPrivs"))]
with open("/proc/self/cgroup") as cgroup:
    place = cgroup.read()
files = sorted(os.listdir("/proc/self/fd"))
leads = os.getpid() == os.getsid(0) == os.getpgid(0)
json.dump([signals, place, files, leads, dict(os.environ), sys.argv, os.getcwd(), os.getppid()], sys.stdout)
"""
COMMAND = [PYTHON, b"-ISc", LOOK.encode(), b"a word", b"\xff", b""]
ENVIRONMENT = {b"EMPTY": b"", b"PATH": b"/usr/bin:/bin", b"\xfe": b"a=b"}


@pytest.fixture
def cgroup() -> Iterator[str]:
    """A cgroup to make children in."""
    with cgroup_for_tests() as path:
        yield os.fspath(path)


@contextmanager
def streams(output: Path) -> Iterator[tuple[int, int, int]]:
    """Yields descriptors for a child's stdin, stdout and stderr."""
    with ExitStack() as stack:
        nothing = stack.enter_context(Path(os.devnull).open("rb"))
        file = stack.enter_context(output.open("wb"))
        yield nothing.fileno(), file.fileno(), file.fileno()


def forked(cgroup: str, given: tuple[int, int, int]) -> int:
    """Makes the same child by a fork."""

    def become() -> NoReturn:
        os.setsid()
        for number, stream in enumerate(given):
            os.dup2(stream, number)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execve(PYTHON, COMMAND, ENVIRONMENT)  # noqa: S606 - no shell

    return clone_into(cgroup, become)


def vforked(cgroup: str, given: tuple[int, int, int], command: Sequence[bytes] = COMMAND) -> int:
    """Makes a child of that command."""
    ignored = [signal.SIGPIPE, signal.SIGXFSZ]
    return vfork_into(cgroup, command[0], command, ENVIRONMENT, streams=given, ignored_signals=ignored)


def test_it_was_built() -> None:
    """Bazel builds what the library loads; without it each start would pay for a fork, and nobody would be told."""
    assert is_there()


def test_a_child_is_what_a_fork_would_make(cgroup: str, tmp_path: Path) -> None:
    """Signals, descriptors, environment, words, session, cgroup, directory and parent are the same."""
    seen = []
    # Blocked in the parent, and handled there: neither is to be so in the child.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        for make in (forked, vforked):
            output = tmp_path / make.__name__
            with streams(output) as given:
                assert os.waitpid(make(cgroup, given), 0)[1] == 0
            seen.append(json.loads(output.read_bytes()))
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == {*before, signal.SIGUSR1}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert seen[0] == seen[1]
    signals, place, _, leads, *_ = seen[1]
    assert dict(signals)["SigBlk:"] == "0" * 16
    assert cgroup.rpartition("/")[2] in place
    assert leads


@pytest.mark.parametrize(
    ("program", "error"),
    [
        (b"/nowhere/program", errno.ENOENT),
        (b"/etc", errno.EACCES),
        (b"/etc/passwd/program", errno.ENOTDIR),
        (b"/proc/version", errno.EACCES),
    ],
)
def test_what_keeps_a_child_from_its_program_is_handed_back(
    cgroup: str, tmp_path: Path, program: bytes, error: int
) -> None:
    """With its errno, as often as it happens, and no process is left of the attempt."""
    with streams(tmp_path / "out") as given:
        for _ in range(100):
            with pytest.raises(ChildError) as caught:
                vforked(cgroup, given, [program])
            assert (caught.value.errno, caught.value.step) == (error, "")
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert Path(cgroup, "cgroup.procs").read_text() == ""


@pytest.mark.parametrize(("place", "error"), [("/nowhere", errno.ENOENT), ("/etc", errno.EBADF)])
def test_without_its_cgroup_no_child_is_made(tmp_path: Path, place: str, error: int) -> None:
    """It never runs in its parent's."""
    with streams(tmp_path / "out") as given:
        with pytest.raises(OSError, match=re.escape(os.strerror(error))) as caught:
            vforked(place, given)
        assert not isinstance(caught.value, ChildError)


@pytest.mark.parametrize(
    ("command", "environment"),
    [([b"/bin/true", b"a\0b"], {}), ([b"/bin/true"], {b"A": b"a\0b"}), ([b"/bin/true"], {b"A=B": b""})],
)
def test_what_would_reach_a_program_cut_short_is_refused(
    cgroup: str, tmp_path: Path, command: list[bytes], environment: dict[bytes, bytes]
) -> None:
    """A zero byte ends a word for whoever reads it, and an equals sign a variable's name."""
    with streams(tmp_path / "out") as given, pytest.raises(ValueError, match=r"null byte|variable name"):
        vfork_into(cgroup, command[0], command, environment, streams=given, ignored_signals=())


def test_the_parent_stays_whole(cgroup: str, tmp_path: Path) -> None:
    """It goes on where it was, with each child's exit code, however often its memory was lent."""
    with streams(tmp_path / "out") as given:
        for number in range(500):
            pid = vforked(cgroup, given, [b"/bin/sh", b"-c", b"exit %d" % (number % 100)])
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == number % 100
