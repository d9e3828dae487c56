"""What the supervisor keeps on disk of each job, so that its end is known even if nobody was there to be told.

A job's record is a file of its own, named by the job's id, of lines of the protocol: first where the job may be found
(`Begun`), before there is a process; then `Started`; then `Exited`, before anyone is told. It is removed when the
worker has kept the end. Only the supervisor writes it, whole lines or none; what a crash cuts short all the same is no
line. A kill of this process loses nothing that was written; nothing here waits for the disk, since no job outlives a
power cut.

A removed record's file is kept as a spare one, and becomes the next job's: to make a file takes an inode, and ext4
without a journal looks at all that were freed within the last minutes before it gives one (`recently_deleted` in
fs/ext4/ialloc.c). With a file made and removed for each job, a supervisor that had run some thousands of them spent
half its time on that.
"""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from jobworker.supervisor.protocol import Event, Exited, Started, decode_event, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LAST_TIME_NS = 253_402_300_799 * 10**9  # the year 9999
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_SPARE = "spare-"
_MOST_SPARES = 64


class Begun(NamedTuple):
    """Where the processes of a job may be found."""

    boot_id: str
    """Which run of the host's kernel they belong to."""
    cgroup: str
    """The path of their cgroup; empty if they have none."""
    logs: tuple[str, str]
    """The paths of the output logs."""


class Record(NamedTuple):
    """What is on disk of one job."""

    job_id: str
    begun: Begun | None
    started: Started | None
    exited: Exited | None


class Records:
    """The records in one directory."""

    def __init__(self, directory: str, *, held: bool = False) -> None:
        """Uses a directory, which may have gone.

        Args:
            directory: Its path.
            held: Whether it has to be this very directory for as long as the process lives, and no later one of the
                same path; this takes a descriptor. Who holds it may write, and keeps spare files.
        """
        self._directory = directory
        self._held = _open(directory) if held else None
        self._spares = [] if self._held is None else [self._path(name) for name in _spares(directory)]

    def __repr__(self) -> str:
        return f"<Records {self._directory}>"

    def exists(self) -> bool:
        """Returns whether the directory is there still."""
        try:
            found = os.stat(self._directory)
            return self._held is not None and os.path.samestat(found, os.fstat(self._held))
        except OSError:
            return False

    def begin(self, job_id: str, begun: Begun) -> None:
        """Creates a job's record.

        Raises:
            OSError: If it can't be written; the disk's fault, or a limit's. Nothing is left of it then.
        """
        path = self._path(job_id)
        spare = self._spares.pop() if self._spares else self._path(_SPARE + job_id)
        try:
            _overwrite(spare, json.dumps(begun).encode() + b"\n")
            os.rename(spare, path)
        except OSError:
            _unlink(spare)
            raise

    def append(self, job_id: str, *events: Event) -> None:
        """Adds what happened to a job to its record.

        Raises:
            OSError: If it can't be written; the disk's fault, or a limit's, or of whoever removed the record. Nothing
                of it is written then.
        """
        descriptor = os.open(self._path(job_id), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            _write(descriptor, b"".join(map(encode, events)))
        finally:
            os.close(descriptor)

    def remove(self, job_id: str) -> None:
        """Removes a job's record, if there is one; what can't be removed is found again, and does no harm."""
        path, spare = self._path(job_id), self._path(_SPARE + job_id)
        if self._held is None or len(self._spares) >= _MOST_SPARES:
            _unlink(path)
            return
        with suppress(OSError):
            os.rename(path, spare)
            self._spares.append(spare)

    def read(self) -> Iterator[Record]:
        """Yields all records that there are; of one that can't be read, that it is there.

        Raises:
            OSError: If the directory can't be read; the disk's fault, a limit's, or of whoever removed it.
        """
        for name in sorted(os.listdir(self._directory)):
            if _ID.fullmatch(name):
                yield _parse(name, self._content(name))

    def _content(self, job_id: str) -> bytes:
        try:
            with open(self._path(job_id), "rb") as file:
                return file.read()
        except (IsADirectoryError, PermissionError, FileNotFoundError):
            return b""

    def _path(self, job_id: str) -> str:
        return f"{self._directory}/{job_id}"


def _open(directory: str) -> int | None:
    try:
        return os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None


def _spares(directory: str) -> list[str]:
    """Returns the names of the spare files that a supervisor before this one has left."""
    try:
        return [name for name in os.listdir(directory) if name.startswith(_SPARE)]
    except OSError:
        return []


def _unlink(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)


def _overwrite(path: str, content: bytes) -> None:
    """Makes content all that a file has; in the blocks that the file has already, so that it needs no new ones."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        left = content
        while left:
            left = left[os.write(descriptor, left) :]
        os.ftruncate(descriptor, len(content))
    finally:
        os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    """Writes all of it at a file's end, or else nothing."""
    size = os.fstat(descriptor).st_size
    left = content
    try:
        while left:
            left = left[os.write(descriptor, left) :]
    except OSError:
        # A part of a line would take the next one with it.
        os.ftruncate(descriptor, size)
        raise


def _parse(job_id: str, content: bytes) -> Record:
    """Returns what a record says, up to the first line that makes no sense: no later one is to be trusted either."""
    begun, started, exited = None, None, None
    first, *others = content.split(b"\n")[:-1] or [b""]
    with suppress(ValueError, TypeError, RecursionError):
        begun = _begun(first)
        for line in others:
            event = decode_event(line)
            if isinstance(event, Started) and _is_sound(job_id, event, event.pid, event.start_ticks):
                started = event
            elif isinstance(event, Exited) and _is_sound(job_id, event, *_numbers(event)):
                exited = event
            else:
                break
    return Record(job_id, begun, started, exited)


def _begun(line: bytes) -> Begun:
    match json.loads(line):
        case [str(boot_id), str(cgroup), [str(stdout), str(stderr)]]:
            return Begun(boot_id, cgroup, (stdout, stderr))
    raise ValueError("not where a job may be found")


def _numbers(event: Exited) -> tuple[object, ...]:
    status = event.code if event.signal is None else event.signal
    return status, event.by_stop, event.killed, event.stdout_bytes, event.stderr_bytes


def _is_sound(job_id: str, event: Started | Exited, *numbers: object) -> bool:
    """Returns whether an event is this job's, and its numbers can be what they say."""
    return (
        event.job_id == job_id
        and all(isinstance(number, int) and number >= 0 for number in (event.time_ns, *numbers))
        and event.time_ns <= _LAST_TIME_NS
    )


def boot_id() -> str:
    """Returns the id of this run of the host's kernel."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def ticks_now() -> int:
    """Returns the time as `start_ticks` counts it: that of CLOCK_BOOTTIME, cut to clock ticks, as the kernel does."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * _TICKS_PER_SECOND // 10**9


def start_ticks(pid: int) -> int | None:
    """Returns when a process was started, in clock ticks since the host's start; None if there is none of this id.

    That is field 22 of /proc/PID/stat, proc(5). The name in field 2 may hold anything, so it is counted from its end.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return None
