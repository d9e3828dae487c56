"""The state directory: where a worker keeps its output logs."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jobworker.worker.errors import StateDirectoryError, WorkerError
from jobworker.worker.refusals import exhausted

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOGS = "logs"


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
        raise _error(tempfile.gettempdir(), error) from error
    try:
        yield directory
    finally:
        # Nothing is in it if the opening failed, and then it may be descriptors that ran out: rmdir needs none.
        for folder in (directory / _LOGS, directory):
            with suppress(OSError):
                folder.rmdir()
        shutil.rmtree(directory, ignore_errors=True)


def prepare(state_dir: Path) -> Path:
    """Makes a state directory and the folder of its output logs, both for this user alone, where they are not there.

    Returns:
        The folder of the output logs, as an absolute path.

    Raises:
        StateDirectoryError: If they can't be made or written to; the fault of whoever chose the directory.
        ResourceExhaustedError: If there are no disk space or file descriptors left; the host's fault.
    """
    logs = state_dir.absolute() / _LOGS
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        logs.mkdir(mode=0o700, exist_ok=True)
        # The answer of a try: permission bits say nothing of read-only file systems, or to root.
        descriptor, probe = tempfile.mkstemp(prefix=".probe-", dir=logs)
        os.close(descriptor)
        os.unlink(probe)
    except OSError as error:
        raise _error(state_dir, error) from error
    return logs


def _error(directory: Path | str, error: OSError) -> WorkerError:
    if isinstance(error, FileExistsError | NotADirectoryError):
        return StateDirectoryError(directory, "it, or a folder above it, is no directory")
    return exhausted(error.errno or 0) or StateDirectoryError(directory, error.strerror or str(error))
