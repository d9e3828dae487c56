"""Makes a child process that does something before it executes its program, born in a given cgroup if it is to be.

fork(2) can't do the latter, and to move a process later would be too late.

clone3(2) with CLONE_INTO_CGROUP does it in the kernel, in one step. To move the parent there and back around a fork
would do it too, but took up to 9 ms where it was measured, against 0.4 ms more than a plain spawn here. CLONE_VFORK
lets the parent wait until the child has executed its program or failed, so that its errno can be handed back.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import signal
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

# linux/sched.h, and the same number on all architectures since it came after 5.1.
_SYS_CLONE3 = 435
_CLONE_VFORK = 0x00004000
_CLONE_INTO_CGROUP = 0x200000000
_ARGUMENTS = struct.Struct("11Q")  # struct clone_args up to its field cgroup

# Not CDLL: the child must come back to Python holding the lock that the parent's only thread holds.
_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.signal.argtypes = ctypes.c_int, ctypes.c_void_p
_libc.signal.restype = ctypes.c_void_p

# Shared with the child, which has no other way to hand back why it failed without a pipe to be read: the errno, and the
# step.
_FAILURE = struct.Struct("=I16s")
_shared = mmap.mmap(-1, mmap.PAGESIZE)


class ChildError(OSError):
    """What kept a child from executing its program.

    Attributes:
        step: Which step before that failed; empty if none did, but the execution itself.
    """

    def __init__(self, error: int, step: str) -> None:
        super().__init__(error, os.strerror(error))
        self.step = step


def clone_into(cgroup: str, run: Callable[[], NoReturn]) -> int:
    """Makes a child in a cgroup and returns its process id once it has executed a program, or exited.

    Only for a process whose other threads do nothing: the child goes on in a copy of this one, as after os.fork.

    Args:
        cgroup: The path of the cgroup; empty for this process's own.
        run: What the child does: execute a program, or raise the OSError that kept it from it.

    Raises:
        ChildError: If `run` raised it, or another OSError; the child is gone then.
        OSError: If no child can be made there.
    """
    directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if cgroup else 0
    try:
        _shared[: _FAILURE.size] = bytes(_FAILURE.size)
        pid = _clone(_CLONE_VFORK | (_CLONE_INTO_CGROUP if cgroup else 0), directory)
        if pid == 0:
            _in_child(run)
    finally:
        if cgroup:
            os.close(directory)
    error, step = _FAILURE.unpack_from(_shared)
    if error:
        os.waitpid(pid, 0)
        raise ChildError(error, step.rstrip(b"\0").decode())
    return pid


def take_default(number: signal.Signals) -> None:
    """Gives a signal its default disposition; in a child, where Python's own function asks for its main thread."""
    _libc.signal(number, None)


def _clone(flags: int, cgroup: int) -> int:
    arguments = _ARGUMENTS.pack(flags, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, cgroup)
    pid: int = _libc.syscall(_SYS_CLONE3, arguments, len(arguments))
    if pid < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return pid


def _in_child(run: Callable[[], NoReturn]) -> NoReturn:
    try:
        run()
    except BaseException as error:  # noqa: BLE001 - there is nobody in this process to be told
        number = getattr(error, "errno", None) or errno.EINVAL
        _FAILURE.pack_into(_shared, 0, number, getattr(error, "step", "").encode())
    finally:
        os._exit(127)
