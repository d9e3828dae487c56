"""The file that an audit log is in: opened, locked, appended to, synced, rotated; it blocks, and knows no event loop.

Nothing in it is ever changed or cut off, so that it may be on a file system, or have an attribute, that allows
appending alone.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.daemon.audit_chain import BEGINNING, RECOVERED, Head, Tail, completes, recovery_fields, tail_of
from jobworker.daemon.audit_reserve import Reserve
from jobworker.daemon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# The group may read, for a program that ships the log; nobody else, since commands may hold secrets.
_FORBIDDEN_MODE = 0o037
_FIRST_LOOK = 64 * 1024
# Longer than any line: a message has at most 4 MiB, of which JSON makes six times as much.
_FURTHEST_LOOK = 32 * 1024 * 1024


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """What is to become a line.

    Attributes:
        time: When it happened, as a line has it.
        event: What it tells of.
        fields: What else it says.
    """

    time: str
    event: str
    fields: Mapping[str, object]


@final
@dataclass(frozen=True, slots=True)
class Appended:
    """What came of appending entries.

    Attributes:
        numbers: The numbers of those that are on disk, from the first entry on.
        error: Why the others are not; None if all are.
    """

    numbers: tuple[int, ...]
    error: OSError | None = None


@final
class AuditFile:
    """An audit log's file, with the end of its chain.

    Attributes:
        path: Where it is opened, now and when it is opened anew.
        head: Its last line.
        torn: Bytes at its end that are no line; the next line tells of them.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it, and locks it.

        Raises:
            ConfigurationError: If it can't be used; the message says why, and whoever configures the daemon has to mend
                it.
        """
        self.path = path
        self._descriptor, tail = _open(path)
        self._reserve = Reserve(self._descriptor)
        self.head, self.torn = tail.head, tail.torn

    def __repr__(self) -> str:
        return f"<AuditFile {self.path} lines={self.head.seq}>"

    def append(self, entries: Sequence[Entry], reserve: int = 0) -> Appended:
        """Appends lines, and returns once they are on disk, or as many of them as can be.

        Args:
            entries: What is to become lines.
            reserve: How many bytes there has to be space for beyond them.
        """
        mending = self._mending(entries[0].time)
        lines = [*mending]
        head = lines[-1][1] if lines else self.head
        for entry in entries:
            raw, head = head.next_line(entry.time, entry.event, entry.fields)
            lines.append((raw, head))
        before = self.head.seq + len(mending)
        try:
            self._require_place()
            self._reserve.take(sum(len(raw) for raw, _ in lines) + reserve)
            error = self._write(lines)
            os.fdatasync(self._descriptor)
        except OSError as failed:
            return Appended((), failed)
        return Appended(tuple(range(before + 1, self.head.seq + 1)), error)

    def reopen(self) -> bool:
        """Goes on in the file that is at the path now, which is made if there is none; the chain goes on in it.

        If it can't be used, all stays as it is.

        Returns:
            Whether it is another file than before.

        Raises:
            ConfigurationError: If it can't be used, or has something in it; whoever put it there has to mend it.
        """
        if _is_at(self._descriptor, self.path):
            return False
        descriptor, tail = _open(self.path)
        if tail != Tail(Head(), b""):
            os.close(descriptor)
            raise ConfigurationError(f"{self.path} is another file than before, but not an empty one; move it away")
        os.close(self._descriptor)
        self._descriptor, self._reserve = descriptor, Reserve(descriptor)
        return True

    def close(self) -> None:
        """Closes the file, and so unlocks it."""
        os.close(self._descriptor)

    def _mending(self, time: str) -> list[tuple[bytes, Head]]:
        """Returns what makes the bytes at the end a line, or else tells of them."""
        if not self.torn:
            return []
        is_elsewhere = os.fstat(self._descriptor).st_size == 0
        whole = None if is_elsewhere else completes(Tail(self.head, self.torn))
        if whole:
            return [(b"\n", whole)]
        raw, head = self.head.next_line(time, RECOVERED, recovery_fields(self.torn))
        return [(raw if is_elsewhere or self.torn.endswith(b"\n") else b"\n" + raw, head)]

    def _require_place(self) -> None:
        """Makes sure that what is written can be found.

        Raises:
            FileNotFoundError: If the file was removed.
        """
        if os.fstat(self._descriptor).st_nlink == 0:
            raise FileNotFoundError("the file was removed; SIGHUP makes a new one, in which the chain goes on")

    def _write(self, lines: Sequence[tuple[bytes, Head]]) -> OSError | None:
        """Writes all that can be written, notes where the chain ends with that, and returns why it isn't all."""
        data, written, error = memoryview(b"".join(raw for raw, _ in lines)), 0, None
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as failed:
            error = failed
        for raw, head in lines:
            if written < len(raw):
                self.torn += raw[:written]
                break
            self.head, self.torn = head, b""
            written -= len(raw)
        return error


def check_usable(path: Path) -> None:
    """Makes sure that there could be an `AuditFile`, as far as can be told without making or locking anything.

    Whether another daemon writes it is not asked: that may be the one whose next configuration this is.

    Raises:
        ConfigurationError: If it can't be used, as when it is opened.
    """
    if os.path.lexists(path):
        descriptor = _opened(path, 0)
        try:
            _require_safe(path, os.fstat(descriptor))
            _tail(path, descriptor)
        finally:
            os.close(descriptor)
        return
    try:
        _require_writable(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None


def _open(path: Path) -> tuple[int, Tail]:
    descriptor = _opened(path, os.O_CREAT)
    try:
        _require_safe(path, os.fstat(descriptor))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"another daemon writes the audit log {path}; give another --audit-log") from None
        tail = _tail(path, descriptor)
        # So that the file itself is there after a power cut.
        _sync_directory(path)
    except OSError as error:
        os.close(descriptor)
        raise ConfigurationError(f"can't use the audit log {path}: {error.strerror} (--audit-log)") from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, tail


def _opened(path: Path, flags: int) -> int:
    flags |= os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"can't write the audit log {path}: {error.strerror} (--audit-log)")


def _require_writable(directory: Path) -> None:
    """Makes sure that a file could be made in a directory, and that be synced."""
    os.close(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
        is_read_only = os.statvfs(directory).f_flag & os.ST_RDONLY
        code = errno.EROFS if is_read_only else errno.EACCES
        raise OSError(code, os.strerror(code))


def _require_safe(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigurationError(f"the audit log {path} is no ordinary file; give another --audit-log")
    if status.st_uid not in (os.geteuid(), 0):
        raise ConfigurationError(f"the audit log {path} belongs to another user; make it the daemon's own")
    if status.st_mode & _FORBIDDEN_MODE:
        mode = stat.S_IMODE(status.st_mode)
        raise ConfigurationError(f"the audit log {path} has mode {mode:04o}; others may use it: chmod 0600 {path}")


def _tail(path: Path, descriptor: int) -> Tail:
    size = os.fstat(descriptor).st_size
    look = _FIRST_LOOK
    while True:
        look = min(look, size)
        data = os.pread(descriptor, look, size - look)
        tail = tail_of(data)
        if tail:
            return tail
        if look == size and (data.startswith(BEGINNING) or BEGINNING.startswith(data) or not data.strip(b"\0")):
            return Tail(Head(), data)
        if look in (size, _FURTHEST_LOOK):
            raise ConfigurationError(f"{path} is no audit log, or its end was destroyed; move it away (--audit-log)")
        look = min(look * 8, _FURTHEST_LOOK)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError:
        return False


def _sync_directory(path: Path) -> None:
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
