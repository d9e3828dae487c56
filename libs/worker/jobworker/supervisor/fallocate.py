"""fallocate(2), for what Python's `os` has no function: punching holes."""

from __future__ import annotations

import ctypes
import errno
import os

_FALLOC_FL_KEEP_SIZE = 0x01  # linux/falloc.h
_FALLOC_FL_PUNCH_HOLE = 0x02

BLOCK_BYTES = 4096
"""What a hole's end is a multiple of: a part of a block would be zeroed, but give no disk space back."""

_CANNOT = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)

_fallocate = ctypes.CDLL(None, use_errno=True).fallocate
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def punch(descriptor: int, end: int) -> None:
    """Gives back the disk space of a file's bytes before `end`; they read as zeros then, and the size stays.

    Args:
        descriptor: The file, open for writing.
        end: In bytes, at least 1.

    Raises:
        OSError: If the file system can't do that, or the disk fails.
    """
    while _fallocate(descriptor, _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE, 0, end):
        error = ctypes.get_errno()
        if error != errno.EINTR:
            raise OSError(error, os.strerror(error))


def can_punch(directory: str) -> bool:
    """Says whether the file system of a directory can punch holes; a file is made there for the try, and removed.

    Raises:
        OSError: If no file can be made there; the disk's fault, or of whoever chose the directory.
    """
    path = f"{directory}/.punch-{os.getpid()}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        punch(descriptor, BLOCK_BYTES)
    except OSError as error:
        if error.errno in _CANNOT:
            return False
        raise
    finally:
        os.close(descriptor)
        os.unlink(path)
    return True
