"""The state directory: where a worker keeps its output logs and, if its jobs are to outlive it, all that finds them."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import shutil
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from jobworker.worker.errors import StateDirectoryError, StateDirectoryInUseError, WorkerError
from jobworker.worker.private_files import OTHERS, close_to_others, privacy_problem
from jobworker.worker.refusals import exhausted

if TYPE_CHECKING:
    from collections.abc import Iterator


@final
@dataclass(frozen=True, slots=True)
class StateDirectory:
    """What is where in a state directory.

    Attributes:
        path: The directory.
    """

    path: Path

    @property
    def logs(self) -> Path:
        """The folder of the output logs, each named by its job and stream."""
        return self.path / "logs"

    @property
    def records(self) -> Path:
        """The folder of the supervisor's records, each named by its job."""
        return self.path / "records"

    @property
    def store(self) -> Path:
        """The file of the job store."""
        return self.path / "jobs.sqlite"

    @property
    def lock(self) -> Path:
        """What the one worker of this directory holds a lock on; it holds the worker's process id."""
        return self.path / "worker.lock"

    @property
    def supervisor_lock(self) -> Path:
        """What the one supervisor of this directory holds a lock on; it holds the supervisor's process id."""
        return self.path / "supervisor.lock"

    @property
    def supervisor_socket(self) -> Path:
        """Where the supervisor listens for its worker."""
        return self.path / "supervisor.sock"

    @property
    def boot_id(self) -> Path:
        """Which run of the host's kernel the last supervisor belongs to."""
        return self.path / "boot_id"

    @property
    def supervisor_log(self) -> Path:
        """What the supervisor says of bugs; empty otherwise."""
        return self.path / "supervisor.log"


@contextmanager
def private_directory() -> Iterator[Path]:
    """Makes a temporary directory for this user alone (0700), and removes it when the context ends.

    Raises:
        StateDirectoryError: If there is nowhere to make one; the host's fault.
        ResourceExhaustedError: If there is no disk space left for it; the host's fault.
    """
    try:
        directory = Path(tempfile.mkdtemp(prefix="jobworker-"))
    except OSError as error:
        raise directory_error(tempfile.gettempdir(), error) from error
    try:
        yield directory
    finally:
        # If the opening failed, little is in it, and it may be descriptors that ran out: what removes this needs none.
        prepared = StateDirectory(directory)
        with suppress(OSError):
            prepared.lock.unlink()
        for folder in (prepared.logs, prepared.records, directory):
            with suppress(OSError):
                folder.rmdir()
        shutil.rmtree(directory, ignore_errors=True)


def prepare(directory: Path) -> StateDirectory:
    """Makes a state directory and its folders, for this user alone, where they are not there.

    Raises:
        StateDirectoryError: If they can't be made or written to, or are not this user's alone; the fault of whoever
            chose the directory.
        ResourceExhaustedError: If there are no disk space or file descriptors left; the host's fault.
    """
    state = StateDirectory(directory.absolute())
    try:
        state.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_private(state)
        state.logs.mkdir(mode=0o700, exist_ok=True)
        state.records.mkdir(mode=0o700, exist_ok=True)
        # The answer of a try: permission bits say nothing of read-only file systems, or to root.
        descriptor, probe = tempfile.mkstemp(prefix=".probe-", dir=state.logs)
        os.close(descriptor)
        os.unlink(probe)
    except OSError as error:
        raise directory_error(directory, error) from error
    return state


@contextmanager
def locked(state: StateDirectory) -> Iterator[None]:
    """Keeps other workers from using a state directory, for as long as the context lasts, or this process.

    Raises:
        StateDirectoryInUseError: If another worker has it; the fault of whoever configured them.
        StateDirectoryError: If it can't be locked; the fault of whoever chose the directory.
        ResourceExhaustedError: If there are no disk space or file descriptors left; the host's fault.
    """
    try:
        descriptor = open_lock(state.lock)
    except OSError as error:
        raise directory_error(state.path, error) from error
    try:
        if not try_lock(descriptor):
            raise StateDirectoryInUseError(state.path, f"process {holder(state.lock) or 'unknown'}")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    except OSError as error:
        raise directory_error(state.path, error) from error
    finally:
        os.close(descriptor)


def open_lock(path: Path) -> int:
    """Returns a descriptor of a file to be locked, made if it is not there.

    Raises:
        OSError: If it can't be; the disk's fault, or a limit's.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(descriptor: int) -> bool:
    """Locks a file for as long as any copy of its descriptor is open; False if another has it, flock(2)."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def freed(lock: Path, seconds: float) -> bool:
    """Waits until nobody holds a lock, but not for longer than so many seconds; returns whether nobody does.

    Raises:
        OSError: If there are no descriptors or threads left; a limit's fault.
    """
    loop, free = asyncio.get_running_loop(), asyncio.Event()
    descriptor = open_lock(lock)

    def wait() -> None:
        # This can't be given up: the thread goes on until the lock is free, though nobody may be left to be told.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.close(descriptor)
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(free.set)

    try:
        threading.Thread(target=wait, daemon=True, name="jobworker: lock").start()
    except RuntimeError as error:
        os.close(descriptor)
        raise OSError(errno.EAGAIN, str(error)) from error
    try:
        async with asyncio.timeout(seconds):
            await free.wait()
    except TimeoutError:
        return False
    return True


def holder(lock: Path) -> int | None:
    """Returns the process id in a lock's file; None if there is none."""
    try:
        return int(lock.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def make_private(state: StateDirectory) -> None:
    """Sees to it that nobody else gets at what is in a state directory.

    Of one that others may only look into, the permissions are mended, if it is empty or was a state directory before:
    any other may be meant to be looked into, such as a home. In one that others may write to, or that is another
    user's, nothing is to be trusted.

    Raises:
        StateDirectoryError: If it is not this user's alone; the fault of whoever chose or made it.
        OSError: If the permissions can't be changed; the file system's fault.
    """
    found = state.path.stat()
    is_ours = state.lock.exists() or not any(state.path.iterdir())
    if problem := privacy_problem(found.st_mode, found.st_uid, os.geteuid(), is_ours=is_ours):
        raise StateDirectoryError(state.path, problem)
    if found.st_mode & OTHERS:
        state.path.chmod(0o700)
    store = [Path(f"{state.store}{suffix}") for suffix in ("", "-wal", "-shm")]
    folders = [state.logs, state.records]
    close_to_others(*store, *folders, state.lock, state.supervisor_lock, state.supervisor_log, state.boot_id)


def directory_error(directory: Path | str, error: OSError) -> WorkerError:
    """Returns the error that tells a caller what the system said of a state directory."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return StateDirectoryError(directory, "it, or a folder above it, is no directory")
    return exhausted(error.errno or 0) or StateDirectoryError(directory, error.strerror or str(error))
