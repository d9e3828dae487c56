"""Disk space for what is to be appended to a file later, so that a full disk is met before and not after."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import final

_FALLOC_FL_KEEP_SIZE = 0x01  # linux/falloc.h
_CANNOT = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
# At least as much is taken at a time: the call costs more than a write does.
_STEP = 64 * 1024

_fallocate = ctypes.CDLL(None, use_errno=True).fallocate
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


@final
class Reserve:
    """The space beyond the end of one file."""

    def __init__(self, descriptor: int) -> None:
        """Begins without any.

        Args:
            descriptor: The file, open for writing; it stays the caller's.
        """
        self._descriptor = descriptor
        self._end = 0
        self._can = True

    def __repr__(self) -> str:
        return f"<Reserve up to {self._end}>" if self._can else "<Reserve none>"

    def take(self, size: int) -> None:
        """Has the file system set aside what follows the file's end; its size stays.

        Where a file system can't do that, nothing is set aside.

        Args:
            size: How much has to be there, in bytes.

        Raises:
            OSError: If there is no space left, or the file can't be written to; the host's fault.
        """
        end = os.fstat(self._descriptor).st_size
        if not self._can or (self._end - _STEP <= end and end + size <= self._end):
            return
        wanted = max(size, _STEP)
        while _fallocate(self._descriptor, _FALLOC_FL_KEEP_SIZE, end, wanted):
            error = ctypes.get_errno()
            if error in _CANNOT:
                self._can = False
                return
            if error == errno.ENOSPC and wanted > size:
                wanted = size  # the last of the space is as good as any
            elif error != errno.EINTR:
                raise OSError(error, os.strerror(error))
        self._end = end + wanted
