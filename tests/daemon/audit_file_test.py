"""The audit log's file: what a crash, a full disk, a rotation or a stranger's hand leaves of it, the chain tells."""

from __future__ import annotations

import os
import resource
import subprocess
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobworker.daemon.audit_chain import GENESIS, Head
from jobworker.daemon.audit_file import Appended, AuditFile, Entry, check_usable
from jobworker.daemon.audit_verifier import BrokenChainError, Report, Verifier
from jobworker.daemon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

TIME = "2026-11-25T22:31:36.123456Z"


def entries(count: int, size: int = 10) -> list[Entry]:
    """Returns so many entries."""
    return [Entry(TIME, "call", {"argv": ["x" * size]}) for _ in range(count)]


def verify(*paths: Path) -> Report:
    """Verifies files as one chain."""
    verifier = Verifier()
    for path in paths:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                verifier.add(f"{path.name}:{number}", raw)
    return verifier.report()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Lets this process write no file beyond a size: a write that crosses it is cut short, and the next one fails."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is to be."""
    return tmp_path / "audit.log"


def test_a_new_file_is_private_and_starts_a_chain(path: Path) -> None:
    """Commands may hold secrets."""
    with closing(AuditFile(path)) as file:
        assert file.append(entries(2)) == Appended((1, 2))
        assert path.stat().st_mode & 0o7777 == 0o600
    report = verify(path)
    assert (report.lines, report.after) == (2, GENESIS)


def test_a_chain_goes_on_after_a_restart(path: Path) -> None:
    """However long its last line is."""
    for size in (10, 300_000, 10):
        with closing(AuditFile(path)) as file:
            file.append(entries(1, size))
    assert verify(path).head.seq == 3


def test_two_daemons_do_not_share_a_file(path: Path) -> None:
    """Their lines would not be one chain."""
    with closing(AuditFile(path)), pytest.raises(ConfigurationError, match="another daemon writes the audit log"):
        AuditFile(path)


@pytest.mark.parametrize("end", range(1, 40))
def test_a_line_that_a_crash_cut_off_is_told_of(path: Path, end: int) -> None:
    """Whatever is left of it, at each of its first bytes, in the first line or a later one."""
    with closing(AuditFile(path)) as file:
        file.append(entries(2))
    whole = path.read_bytes()
    for kept in (0, 1):
        lines = b"".join(whole.splitlines(keepends=True)[:kept])
        path.write_bytes(lines + whole[len(lines) : len(lines) + end])
        with closing(AuditFile(path)) as file:
            assert file.append(entries(1)).numbers == (kept + 2,)
        assert path.read_bytes().startswith(lines + whole[len(lines) : len(lines) + end])
        report = verify(path)
        assert [count for _, count in report.torn] == [end]
        assert report.lines == kept + 2


def test_a_line_that_lacks_its_line_feed_alone_is_whole(path: Path) -> None:
    """It says all; the next start ends it."""
    with closing(AuditFile(path)) as file:
        file.append(entries(2))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with closing(AuditFile(path)) as file:
        file.append(entries(1))
    assert path.read_bytes().startswith(whole)
    report = verify(path)
    assert (report.lines, report.torn) == (3, [])


@pytest.mark.parametrize("junk", [b"\0" * 5000, b"\0\n\0\n", b"\n", b'{"prev":"'])
def test_what_a_power_cut_left_is_told_of(path: Path, junk: bytes) -> None:
    """Twice, too."""
    for _ in range(2):
        with closing(AuditFile(path)) as file:
            file.append(entries(1))
        with path.open("ab") as tail:
            tail.write(junk)
    with closing(AuditFile(path)) as file:
        file.append(entries(1))
    report = verify(path)
    assert (report.lines, [count for _, count in report.torn]) == (5, [len(junk.removesuffix(b"\n"))] * 2)


def test_a_write_that_is_cut_short_is_told_of(path: Path) -> None:
    """At every byte: the whole lines count, and the next write tells of the rest, or ends a line that is whole."""
    with closing(AuditFile(path)) as probe:
        probe.append(entries(2))
    two = path.stat().st_size
    with closing(AuditFile(path)) as file:
        for limit in range(0, two, 7):
            before, size, torn = file.head.seq, path.stat().st_size, bool(file.torn)
            with largest_file(size + limit):
                cut = file.append(entries(2))
            assert cut.error is not None
            assert not cut.numbers or cut.numbers == (before + 1 + torn,)
        assert file.append(entries(1)).error is None
    report = verify(path)
    assert report.head == file.head
    assert report.torn


def test_a_disk_without_space_for_the_outcome_is_full_before(path: Path) -> None:
    """What is reserved is part of what must be there."""
    with closing(AuditFile(path)) as file:
        refused = file.append(entries(1), reserve=1 << 60)
        assert refused.error is not None
        assert refused.numbers == ()
        assert path.stat().st_size == 0
        assert file.append(entries(1)).numbers == (1,)


def test_a_removed_file_is_noticed(path: Path) -> None:
    """What is written there would be lost; opened anew, the chain goes on, so that the gap shows."""
    with closing(AuditFile(path)) as file:
        file.append(entries(2))
        path.unlink()
        assert isinstance(file.append(entries(1)).error, FileNotFoundError)
        assert file.reopen()
        assert file.append(entries(1)).numbers == (3,)
    assert verify(path).first == 3


@contextmanager
def attribute(path: Path, letter: str) -> Iterator[None]:
    """Gives a file an attribute, chattr(1); skips the test where that is not granted."""
    given = subprocess.run(["chattr", f"+{letter}", path], capture_output=True, text=True, check=False)
    if given.returncode:
        pytest.skip(f"not granted here: {given.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["chattr", f"-{letter}", path], check=True)


def test_to_append_is_enough(path: Path) -> None:
    """A file that not even root can change is written to, found torn, and gone on with."""
    AuditFile(path).close()
    with attribute(path, "a"):
        with closing(AuditFile(path)) as file:
            file.append(entries(1))
            with largest_file(path.stat().st_size + 20):
                assert file.append(entries(1)).error is not None
        with closing(AuditFile(path)) as file:
            assert file.append(entries(1), reserve=100_000).error is None
    assert verify(path).torn == [("audit.log:2", 20)]


def test_a_file_that_became_read_only_is_noticed(path: Path) -> None:
    """Though it is open for writing."""
    with closing(AuditFile(path)) as file:
        file.append(entries(1))
        with attribute(path, "i"):
            assert isinstance(file.append(entries(1)).error, PermissionError)
            with pytest.raises(ConfigurationError, match="Operation not permitted"):
                AuditFile(path)
        assert file.append(entries(1)).numbers == (2,)


def test_rotation_keeps_the_chain(path: Path) -> None:
    """Lines between the renaming and the opening go to the old file."""
    old = path.with_suffix(".1")
    with closing(AuditFile(path)) as file:
        file.append(entries(2))
        path.rename(old)
        file.append(entries(1))
        assert file.reopen()
        assert not file.reopen()
        file.append(entries(1))
    assert verify(old, path).lines == 4
    assert verify(path).first == 4
    with pytest.raises(BrokenChainError, match="out of order"):
        verify(path, old)


def test_rotation_of_a_torn_file_keeps_the_chain(path: Path) -> None:
    """The new file tells of what is at the end of the old one."""
    old = path.with_suffix(".1")
    with closing(AuditFile(path)) as file:
        file.append(entries(1))
        with largest_file(path.stat().st_size + 20):
            file.append(entries(1))
        path.rename(old)
        file.reopen()
        file.append(entries(1))
    assert verify(old, path).torn == [("audit.1:2", 20)]


def test_rotation_to_a_file_with_something_in_it_fails(path: Path) -> None:
    """The old one stays in use."""
    old = path.with_suffix(".1")
    with closing(AuditFile(path)) as file:
        file.append(entries(1))
        path.rename(old)
        path.write_text("something\n")
        path.chmod(0o600)
        with pytest.raises(ConfigurationError, match="no audit log"):
            file.reopen()
        path.write_bytes(old.read_bytes())
        with pytest.raises(ConfigurationError, match="not an empty one; move it away"):
            file.reopen()
        file.append(entries(1))
    assert verify(old).head.seq == 2


def test_a_copied_and_cut_file_keeps_the_chain(path: Path) -> None:
    """Rotation in the other way that there is, needs no signal; what comes between the two steps would be missed."""
    old = path.with_suffix(".1")
    with closing(AuditFile(path)) as file:
        file.append(entries(2))
        old.write_bytes(path.read_bytes())
        path.write_bytes(b"")
        file.append(entries(1))
    assert verify(old, path).lines == 3


def test_what_is_no_audit_log_is_left_alone(path: Path) -> None:
    """A mistyped path must not have lines appended to another file."""
    path.write_text("root:x:0:0\n")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="is no audit log"):
        AuditFile(path)
    assert path.read_text() == "root:x:0:0\n"


@pytest.mark.parametrize("mode", [0o620, 0o604, 0o602, 0o666, 0o610])
def test_a_file_that_others_may_use_is_refused(path: Path, mode: int) -> None:
    """Its group may read it, for a program that ships it."""
    path.touch()
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"has mode 0{mode:o}; others may use it: chmod 0600"):
        AuditFile(path)
    path.chmod(0o640)
    AuditFile(path).close()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A directory, a link to who knows where, a device, a folder that is not there."""
    (tmp_path / "link").symlink_to(tmp_path / "other")
    for name in (".", "link", "no/file"):
        with pytest.raises(ConfigurationError, match=r"can't write the audit log"):
            AuditFile(tmp_path / name)
    with pytest.raises(ConfigurationError, match="no ordinary file"):
        AuditFile(Path("/dev/null"))
    assert not (tmp_path / "other").exists()


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Makes root another user, whom permissions hold for."""
    is_root = os.geteuid() == 0
    if is_root:
        try:
            os.seteuid(65534)
        except OSError as error:
            pytest.skip(f"there is no other user here: {error.strerror}")
    yield
    if is_root:
        os.seteuid(0)


@pytest.mark.parametrize(("mode", "takes"), [(0o777, True), (0o555, False), (0o333, False), (0o666, False)])
def test_a_directory_that_takes_no_file_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, mode: int, *, takes: bool
) -> None:
    """It has to be written to, entered, and read to be synced: that is found without a file as well as with one."""
    folder = tmp_path / "logs"
    folder.mkdir()
    # From within, since nobody else may enter the folders above it.
    monkeypatch.chdir(folder)
    folder.chmod(mode)
    request.getfixturevalue("as_nobody")
    for attempt in (check_usable, lambda path: AuditFile(path).close()):
        with nullcontext() if takes else pytest.raises(ConfigurationError, match="Permission denied"):
            attempt(Path("audit.log"))


def test_the_end_is_found_before_the_rest_is_read(path: Path) -> None:
    """A log of any size is opened at once: what lies before its end is `verify-audit`'s."""
    with closing(AuditFile(path)) as file:
        file.append(entries(1))
    good = path.read_bytes()
    path.write_bytes(b"junk\n" * 100_000 + good)
    with closing(AuditFile(path)) as file:
        assert file.head.seq == 1
        assert file.head != Head()
