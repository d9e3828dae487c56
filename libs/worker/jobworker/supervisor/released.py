"""How much of an output log's beginning was released, as the log's sidecar tells.

The sidecar is a symbolic link whose target is a number, not a path. A link is replaced in one step, is read in one
call, and needs no block of a full disk. And it is metadata: a file system's journal keeps it in order with the hole
that is punched after it, though nothing is ever synced.
"""

from __future__ import annotations

import os

_SUFFIX = ".released"


def sidecars(path: str) -> tuple[str, str]:
    """Returns where a log's sidecar is, if there is one, and where a new one is made before it takes its place."""
    return path + _SUFFIX, path + _SUFFIX + ".new"


def first_kept(path: str) -> int:
    """Returns the offset of a log's first byte that was not released; 0 if none was.

    Raises:
        OSError: If the sidecar is there and can't be read; the disk's fault.
    """
    try:
        return int(os.readlink(path + _SUFFIX))
    except FileNotFoundError:
        return 0


def note_released(path: str, first: int) -> None:
    """Notes a log's new first byte; to be called before what comes before it is released.

    A reader that reads bytes and asks `first_kept` only then can therefore tell output from the zeros of a hole.

    Raises:
        OSError: If the sidecar can't be written; the disk's fault.
    """
    sidecar, made = sidecars(path)
    try:
        os.symlink(str(first), made)
    except FileExistsError:  # left by a supervisor that was killed
        os.unlink(made)
        os.symlink(str(first), made)
    os.rename(made, sidecar)
