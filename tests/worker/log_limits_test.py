"""Logs stay within their limit: their oldest bytes are released, which the sidecar tells before it is so."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobworker.supervisor.fallocate import can_punch, punch
from jobworker.supervisor.log_limits import LogLimits, next_first
from jobworker.supervisor.released import first_kept, note_released, sidecars
from jobworker.worker.log_files import WholeLog
from log_support import append, pattern, settle
from worker_support import granted, library_environment, watches_of

if TYPE_CHECKING:
    from collections.abc import Iterator


KIBIBYTE = 1 << 10
MEBIBYTE = 1 << 20
# Of a release, for limits up to a mebibyte.
STEP = 64 * KIBIBYTE
BLOCK = 4 * KIBIBYTE


@pytest.fixture
def limits() -> Iterator[LogLimits]:
    """Limits of 128 KiB a log."""
    made = LogLimits()
    made.limit = 128 * KIBIBYTE
    yield made
    made.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """An empty log."""
    path = tmp_path / "log"
    path.touch()
    return path


def disk_bytes(log: Path) -> int:
    """Returns how much of the disk a log takes."""
    return log.stat().st_blocks * 512


@pytest.mark.parametrize(
    ("size", "first", "limit", "kept_from"),
    [
        (0, 0, MEBIBYTE, 0),
        (MEBIBYTE + STEP - 1, 0, MEBIBYTE, 0),
        (MEBIBYTE + STEP, 0, MEBIBYTE, STEP),
        (MEBIBYTE + STEP + BLOCK - 1, 0, MEBIBYTE, STEP),
        (MEBIBYTE + 3 * STEP, 2 * STEP + 1, MEBIBYTE, 2 * STEP + 1),
        (17 << 30, 0, 16 << 30, 1 << 30),
        ((17 << 30) - 1, 0, 16 << 30, 0),
        (1 << 40, 0, 0, 0),
        (1 << 40, 5 * BLOCK, 0, 5 * BLOCK),
        (STEP, 0, 1, 0),
        (STEP + 1, 0, 1, STEP),
        (3, 5 * BLOCK, 1, 5 * BLOCK),
    ],
)
def test_what_to_keep_follows_from_size_and_limit(size: int, first: int, limit: int, kept_from: int) -> None:
    """Whole blocks are released, a step at least, never more than is over, and what is gone stays so."""
    assert next_first(size, first, limit) == kept_from


def test_at_the_end_steps_are_small() -> None:
    """What a finished job keeps on the disk is its limit and a block."""
    assert next_first(MEBIBYTE + BLOCK, 0, MEBIBYTE, final=True) == BLOCK
    assert next_first(MEBIBYTE + BLOCK - 1, 0, MEBIBYTE, final=True) == 0


def test_a_log_keeps_its_newest_bytes(limits: LogLimits, log: Path) -> None:
    """However much is written: its size tells all of it, its disk space stays, and what is kept is as it was."""
    limits.watch(str(log))
    for count in range(1, 9):
        append(log, MEBIBYTE)
        settle(limits)
        first = first_kept(str(log))
        assert log.stat().st_size == count * MEBIBYTE
        assert first == count * MEBIBYTE - limits.limit
        assert disk_bytes(log) <= limits.limit + BLOCK
        assert log.read_bytes()[first:] == pattern(first, limits.limit)
        assert not any(log.read_bytes()[:first])


def test_a_log_within_its_limit_is_left_alone(limits: LogLimits, log: Path) -> None:
    """It has no sidecar either."""
    limits.watch(str(log))
    append(log, limits.limit + STEP - 1)
    settle(limits)
    assert [first_kept(str(log)), os.path.lexists(sidecars(str(log))[0])] == [0, False]
    limits.forget(str(log))
    assert first_kept(str(log)) == STEP - BLOCK


def test_each_log_has_its_own_limit(limits: LogLimits, tmp_path: Path) -> None:
    """A log that is written to costs others nothing."""
    logs = [tmp_path / str(number) for number in range(20)]
    for number, log in enumerate(logs):
        log.touch()
        limits.watch(str(log))
        append(log, number * STEP)
    settle(limits)
    assert [first_kept(str(log)) for log in logs] == [0, 0, 0, *(number * STEP for number in range(1, 18))]


def test_what_was_written_before_the_watch_counts(limits: LogLimits, log: Path) -> None:
    """A job may have written all it has by then."""
    append(log, MEBIBYTE)
    limits.watch(str(log))
    settle(limits)
    assert first_kept(str(log)) == MEBIBYTE - limits.limit


def test_a_new_limit_holds_for_logs_in_care(limits: LogLimits, log: Path) -> None:
    """A worker that starts with another one means all running jobs; none lets them grow again."""
    limits.limit = 0
    limits.watch(str(log))
    append(log, MEBIBYTE)
    settle(limits)
    assert first_kept(str(log)) == 0
    limits.limit = MEBIBYTE // 2
    settle(limits)
    assert first_kept(str(log)) == MEBIBYTE // 2
    limits.limit = 0
    append(log, MEBIBYTE)
    settle(limits)
    assert first_kept(str(log)) == MEBIBYTE // 2
    limits.limit = MEBIBYTE
    settle(limits)
    assert first_kept(str(log)) == MEBIBYTE


def test_nothing_is_to_be_done_until_a_log_is_written_to(limits: LogLimits, log: Path) -> None:
    """The loop may sleep; and any number of writes wakes it once."""
    limits.watch(str(log))
    settle(limits)
    assert limits.timeout() is None
    for _ in range(100):
        append(log, 1)
    limits.receive()
    assert 0 <= (limits.timeout() or 0) <= 0.05
    assert watches_of(os.getpid()) == 0
    settle(limits)
    assert [limits.timeout(), watches_of(os.getpid())] == [None, 1]


def test_forgotten_logs_are_watched_no_more(limits: LogLimits, log: Path) -> None:
    """After a last look; to forget one twice, or one that never was in care, does nothing."""
    limits.watch(str(log))
    settle(limits)
    append(log, MEBIBYTE)
    for _ in range(2):
        limits.forget(str(log))
    settle(limits)
    assert [first_kept(str(log)), watches_of(os.getpid())] == [MEBIBYTE - limits.limit, 0]
    append(log, MEBIBYTE)
    settle(limits)
    assert first_kept(str(log)) == MEBIBYTE - limits.limit


def test_a_log_that_somebody_removed_is_let_go(limits: LogLimits, tmp_path: Path) -> None:
    """Before it is watched, while it is, and before it is forgotten."""
    logs = [tmp_path / name for name in "abc"]
    limits.watch(str(logs[0]))
    for log in logs[1:]:
        log.touch()
        limits.watch(str(log))
    settle(limits)
    with logs[1].open("ab") as file:
        logs[1].unlink()
        file.write(bytes(MEBIBYTE))
    settle(limits)
    logs[2].unlink()
    for log in logs:
        limits.forget(str(log))
    assert list(tmp_path.iterdir()) == [tmp_path / "tmp"]


def test_a_log_that_its_job_truncated_is_left_alone(limits: LogLimits, log: Path) -> None:
    """Until it is as large again; what it writes where it had been before counts as released."""
    limits.watch(str(log))
    append(log, MEBIBYTE)
    settle(limits)
    os.truncate(log, 10)
    settle(limits)
    assert first_kept(str(log)) == MEBIBYTE - limits.limit
    append(log, 2 * MEBIBYTE)
    settle(limits)
    assert first_kept(str(log)) == (2 * MEBIBYTE + 10 - limits.limit) // BLOCK * BLOCK


def test_a_link_left_half_way_is_replaced(log: Path) -> None:
    """By a supervisor that was killed between its making and its renaming."""
    Path(sidecars(str(log))[1]).symlink_to("1")
    note_released(str(log), 4096)
    assert first_kept(str(log)) == 4096
    assert sorted(path.name for path in log.parent.iterdir()) == ["log", "log.released", "tmp"]


def test_a_file_system_is_tried_without_a_trace(tmp_path: Path) -> None:
    """Whether holes can be punched; where no file can be made, that is the error."""
    assert can_punch(str(tmp_path))
    assert list(tmp_path.iterdir()) == [tmp_path / "tmp"]
    with pytest.raises(FileNotFoundError):
        can_punch(str(tmp_path / "nowhere"))


def test_a_release_is_told_before_it_happens(limits: LogLimits, log: Path) -> None:
    """As a file shows that can't be punched: readers may miss bytes that are there, but never take zeros for them."""
    descriptor = os.memfd_create("sealed", os.MFD_ALLOW_SEALING)
    os.truncate(descriptor, MEBIBYTE)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    log.unlink()
    log.symlink_to(f"/proc/self/fd/{descriptor}")
    limits.watch(str(log))
    settle(limits)
    limits.forget(str(log))
    assert first_kept(str(log)) == MEBIBYTE - limits.limit
    os.close(descriptor)


async def test_zeros_of_a_hole_are_never_read(log: Path) -> None:
    """Though the hole is punched between any two steps of the reading."""
    size = 32 * MEBIBYTE
    append(log, size)

    def release() -> None:
        with log.open("r+b") as file:
            for first in range(16 * KIBIBYTE, size, 16 * KIBIBYTE):
                note_released(str(log), first)
                punch(file.fileno(), first)

    output = WholeLog(str(log))
    thread = threading.Thread(target=release)
    thread.start()
    exact = True
    while thread.is_alive():
        offset = first_kept(str(log))
        first, data = await output.read(offset, 256 * KIBIBYTE)
        exact = exact and first >= offset and data == pattern(first, len(data))
    output.close()
    assert exact


ON_A_FULL_DISK = """
import errno, os, sys
from pathlib import Path
from jobworker.supervisor.log_limits import LogLimits
from jobworker.supervisor.released import first_kept
from log_support import append, settle

log = Path(sys.argv[1]) / "log"
log.touch()
limits = LogLimits()
limits.limit = 128 << 10
limits.watch(str(log))
append(log, 512 << 10)
with open(log.with_name("other"), "wb", buffering=0) as other:
    try:
        while True:
            other.write(bytes(4096))
    except OSError as error:
        assert error.errno == errno.ENOSPC
settle(limits)
assert first_kept(str(log)) == 384 << 10
append(log, 256 << 10)
limits.forget(str(log))
assert first_kept(str(log)) == 640 << 10
"""


def test_a_full_disk_is_given_room(tmp_path: Path) -> None:
    """A release needs none itself."""
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    mount = 'mount -t tmpfs -o size=1m none "$1" && shift && exec "$@"'
    disk = tmp_path / "disk"
    disk.mkdir()
    under = granted("unshare", *user, "--mount", "sh", "-c", mount, "sh", str(disk))
    command = [*under, sys.executable, "-c", ON_A_FULL_DISK, str(disk)]
    ended = subprocess.run(command, env=library_environment(), capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
