"""Makes a child process in a given cgroup at the price of posix_spawn(3), which can't give it one before glibc 2.39.

A fork copies the page tables of a Python process, then each page that either side touches, and drops them all when the
child executes its program: two thirds of what a start cost this process. vfork.c says how that is spared. Where its
library was not built, or on a processor that it does not know, `clone_into` does the same by a fork.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING

from jobworker.supervisor.clone import ChildError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_LIBRARY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libvfork.so")


class _Request(ctypes.Structure):
    """As `struct request` in vfork.c."""

    _fields_ = (
        ("program", ctypes.c_char_p),
        ("arguments", ctypes.POINTER(ctypes.c_char_p)),
        ("environment", ctypes.POINTER(ctypes.c_char_p)),
        ("ignored_signals", ctypes.c_uint64),
        ("streams", ctypes.c_int * 3),
        ("cgroup", ctypes.c_int),
    )


def _load() -> ctypes.PyDLL | None:
    try:
        # Not CDLL: there is no other thread that could go on meanwhile.
        library = ctypes.PyDLL(_LIBRARY)
    except OSError:
        return None
    return library if ctypes.c_int.in_dll(library, "jobworker_can_vfork").value else None


_library = _load()


def is_there() -> bool:
    """Returns whether `vfork_into` can be called."""
    return _library is not None


def vfork_into(  # noqa: PLR0913 - what a process is made of
    cgroup: str,
    program: bytes,
    command: Sequence[bytes],
    environment: Mapping[bytes, bytes],
    *,
    streams: tuple[int, int, int],
    ignored_signals: Collection[int],
) -> int:
    """Makes a child in a cgroup, a session leader, and returns its process id once it has executed a program.

    Args:
        cgroup: The path of the cgroup.
        program: The path of the program.
        command: Its arguments, itself included.
        environment: Its environment.
        streams: Descriptors to be its stdin, stdout and stderr; none of them is 0, 1 or 2.
        ignored_signals: Those that this process ignores, and the child is not to. None is blocked in it.

    Raises:
        ChildError: If it can't execute the program; it is gone then.
        OSError: If no child can be made there; the host's fault. ENOSYS, if it can't be called.
        ValueError: If a word or a variable can't be handed to any program; the fault of whoever gave it.
    """
    if _library is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        request = _Request(
            program,
            _strings(command),
            _strings([_variable(name, value) for name, value in environment.items()]),
            sum(1 << number for number in ignored_signals),
            streams,
            directory,
        )
        exited = ctypes.c_int()
        pid: int = _library.jobworker_vfork_into(ctypes.byref(request), ctypes.byref(exited))
    finally:
        os.close(directory)
    if exited.value:
        os.waitpid(exited.value, 0)
        raise ChildError(-pid, "")
    if pid < 0:
        raise OSError(-pid, os.strerror(-pid))
    return pid


def _strings(words: Sequence[bytes]) -> ctypes.Array[ctypes.c_char_p]:
    if any(b"\0" in word for word in words):
        raise ValueError("embedded null byte")
    return (ctypes.c_char_p * (len(words) + 1))(*words, None)


def _variable(name: bytes, value: bytes) -> bytes:
    if not name or b"=" in name:
        raise ValueError("illegal environment variable name")
    return name + b"=" + value
