"""What of the file system is one user's alone, and how it is kept so."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

OTHERS = 0o077
"""The permissions of all but a file's owner."""
_WRITABLE = 0o022


def privacy_problem(mode: int, owner: int, user: int, *, is_ours: bool) -> str:
    """Returns why a directory can't be trusted with what is private; empty if it can, once it is closed to others.

    Args:
        mode: Its permissions.
        owner: Whose it is.
        user: Who wants to use it.
        is_ours: Whether it is there for this alone, so that to close it to others harms nobody.
    """
    bits = f"{stat.S_IMODE(mode):04o}"
    if owner != user:
        return f"it is user {owner}'s, and this process is user {user}'s"
    if mode & _WRITABLE:
        return f"others may write to it (mode {bits}), so that nothing in it can be trusted"
    if mode & OTHERS and not is_ours:
        return f"others may look into it (mode {bits}); chmod 700 it if nobody else has to"
    return ""


def close_to_others(*paths: Path) -> None:
    """Takes all permissions on files and directories from all but their owner; what is not there is left out.

    Raises:
        OSError: If one's permissions can't be changed; the fault of whoever owns it.
    """
    for path in paths:
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        if mode & OTHERS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & ~OTHERS)


def write_private(path: Path, text: str) -> None:
    """Writes a small ASCII file for this user alone, whatever the umask.

    Raises:
        OSError: If it can't be written; the disk's fault, or a limit's.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(text)
