"""What a state directory holds is its user's alone, and so is the talk between a worker and its supervisor."""

# ruff: noqa: ASYNC240 - small files on a local disk

from __future__ import annotations

import os
import socket
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import JobState, StateDirectoryError, Worker
from jobworker.worker.private_files import close_to_others, privacy_problem
from look_support import NOBODY, needs_root
from restart_support import WorkerProcess, pretender
from worker_support import read_lines, sh

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def not_private(folder: Path) -> list[str]:
    """Returns what of a directory, and of all in it, has other permissions than the owner's own."""
    found = []
    for path in (folder, *folder.rglob("*")):
        with suppress(FileNotFoundError):  # such as a record that goes as its job's end is acknowledged
            mode = path.lstat().st_mode
            if stat.S_IMODE(mode) != (0o700 if stat.S_ISDIR(mode) else 0o600):
                found.append(f"{path} {mode:o}")
    return found


@pytest.fixture
def umask() -> Iterator[None]:
    """Has this process make files that everybody may write to, where it doesn't say otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Makes this process one of another user for a while."""
    needs_root()
    os.seteuid(NOBODY.uid)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_all_that_is_made_is_private(state: Path, umask: None) -> None:  # noqa: ARG001 - needed first
    """Store, WAL, locks, socket, records and logs, while a job runs and when it has ended, whatever the umask."""
    async with Worker(state_dir=state) as worker:
        job = await worker.start(sh("echo; exec sleep 1000"))
        await read_lines(worker, job.id)
        names = {path.name for path in state.rglob("*")}
        assert {"jobs.sqlite", "jobs.sqlite-wal", "supervisor.sock", "worker.lock", job.id} <= names
        assert not_private(state) == []
        await worker.stop(job.id)
        assert not_private(state) == []
    assert not_private(state) == []


async def test_what_was_open_to_others_is_closed(state: Path) -> None:
    """The directory of an older version, or one that somebody was careless with, is mended."""
    async with Worker(state_dir=state) as worker:
        ended = await worker.wait((await worker.start(["echo", "hi"])).id)
    for path in (state, *state.iterdir()):
        path.chmod(path.stat().st_mode | 0o055)
    async with Worker(state_dir=state) as worker:
        assert await worker.get(ended.id) == ended
        assert not_private(state) == []


async def test_an_empty_directory_is_closed(state: Path) -> None:
    """It was made for this, by whoever did not think of its permissions."""
    state.mkdir(mode=0o755)
    async with Worker(state_dir=state):
        assert not_private(state) == []


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o711, 0o704])
async def test_a_directory_with_a_life_of_its_own(tmp_path: Path, mode: int) -> None:
    """A home, say, is not closed to others unasked: whoever chose it is told, and nothing was changed."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "page.html").write_text("")
    home.chmod(mode)
    said = rf"others may look into it \(mode {mode:04o}\); chmod 700 it"
    with pytest.raises(StateDirectoryError, match=said):
        await Worker(state_dir=home).__aenter__()
    assert stat.S_IMODE(home.stat().st_mode) == mode
    assert [path.name for path in home.iterdir()] == ["page.html"]


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702])
async def test_a_directory_that_others_may_write_to(tmp_path: Path, mode: int) -> None:
    """Even an empty one may get at any moment what somebody else puts there."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    with pytest.raises(
        StateDirectoryError, match=rf"others may write to it \(mode {mode:04o}\), so that nothing in it"
    ):
        await Worker(state_dir=shared).__aenter__()
    assert list(shared.iterdir()) == []


async def test_another_user_s_directory(tmp_path: Path) -> None:
    """Root could use it; what is in there is that user's to change."""
    needs_root()
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, NOBODY.uid, NOBODY.gid)
    with pytest.raises(StateDirectoryError, match="it is user 65534's, and this process is user 0's"):
        await Worker(state_dir=theirs).__aenter__()


@pytest.mark.parametrize(
    ("mode", "owner", "is_ours", "problem"),
    [
        (0o700, 5, False, ""),
        (0o500, 5, False, ""),
        (0o755, 5, True, ""),
        (0o755, 5, False, "look into"),
        (0o775, 5, True, "write to"),
        (0o757, 5, True, "write to"),
        (0o700, 0, True, "user 0's"),
        (0o700, 6, True, "user 6's"),
    ],
)
def test_which_directories_are_private(mode: int, owner: int, problem: str, *, is_ours: bool) -> None:
    """Its user's alone, or easily made so; not even root's is good enough for another user."""
    found = privacy_problem(stat.S_IFDIR | mode, owner, 5, is_ours=is_ours)
    assert (problem in found) if problem else found == ""


def test_what_a_link_leads_to_is_left_alone(tmp_path: Path) -> None:
    """Its permissions may be meant for others; and what is not there needs no care."""
    target = tmp_path / "target"
    target.write_text("")
    target.chmod(0o644)
    (tmp_path / "link").symlink_to(target)
    close_to_others(tmp_path / "link", tmp_path / "none")
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


async def test_another_user_s_worker_is_not_obeyed(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if it gets at the socket, the supervisor hangs up without a word; a worker that comes then is served."""
    with WorkerProcess(state) as held:
        job_id, _ = held.start_line("echo; exec sleep 1000")
    for path, mode in ((state, 0o711), (state / "supervisor.sock", 0o666)):
        path.chmod(mode)
    monkeypatch.chdir(state)  # the folders above are not nobody's to enter
    with socket.socket(socket.AF_UNIX) as control:
        with as_nobody():
            control.connect("supervisor.sock")
        assert control.recv(100) == b""
    state.chmod(0o700)
    async with Worker(state_dir=state) as worker:
        assert (await worker.get(job_id)).state is JobState.RUNNING


async def test_another_user_s_supervisor_is_not_believed(state: Path) -> None:
    """Whoever listens in its place, as another user, is told nothing, neither commands nor environment."""
    with as_nobody():
        pass  # skips the test for a user who can't
    with pretender(state, listening=as_nobody) as listener:
        with pytest.raises(
            StateDirectoryError, match="at its supervisor's socket listens user 65534; end that process"
        ):
            await Worker(state_dir=state).__aenter__()
        control, _ = listener.accept()
        with control:
            assert control.recv(100) == b""
