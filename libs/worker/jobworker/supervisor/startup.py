"""What a supervisor does first of all: it gives up what it has from whoever started it and its jobs would have from it.

Once, so that no job pays for it. What a host's administrator sets for a service and all that it runs stays: resource
limits, priorities, the CPUs, namespaces, the filter of system calls.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import resource
import signal
import struct
from contextlib import suppress

UMASK = 0o022
"""The jobs': what they make is theirs to write to, and everybody's to read."""

_PR_CAP_AMBIENT = 47  # prctl(2); linux/prctl.h
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION = 0x20080522  # capget(2); linux/capability.h
_CAPABILITIES = struct.Struct("6I")  # twice: effective, permitted, inheritable
_KEYCTL_JOIN_SESSION_KEYRING = 1  # keyctl(2)
_SYS_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219}

_FIRST_FREE = 3
"""The first descriptor after those of the standard streams."""

_libc = ctypes.CDLL(None, use_errno=True)


def begin_anew(files: int | None) -> None:
    """Makes this process one that nothing of its past is seen in, for its jobs to inherit.

    Args:
        files: The soft limit of open files that the jobs are to have; None for this process's.

    Raises:
        OSError: If that can't be; the host's fault.
    """
    _fill_standard_streams()
    os.umask(UMASK)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if files is not None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    give_up_oom_protection("/proc/self/oom_score_adj")
    _give_up_capabilities()
    _leave_session_keyring()


def take(descriptor: int) -> int:
    """Returns a descriptor for what was given to this process as another one, which is closed.

    It is none of those that a job's standard streams take, and not inherited.

    Raises:
        OSError: If it is not open, or none is left.
    """
    taken = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE)
    os.close(descriptor)
    return taken


def give_up_oom_protection(path: str) -> None:
    """Takes back what protects this process from the kernel's choice when memory runs out: jobs are not protected.

    Args:
        path: The file that says so, proc_pid_oom_score_adj(5). What makes its choice likelier stays.
    """
    with suppress(OSError):
        with open(path, encoding="ascii") as file:
            adjustment = int(file.read())
        if adjustment < 0:
            with open(path, "w", encoding="ascii") as file:
                file.write("0")


def _fill_standard_streams() -> None:
    """Opens those that are closed: another file in their place would be mistaken for them, or closed in a job."""
    while (descriptor := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) < _FIRST_FREE:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - it has no name
    os.close(descriptor)


def _give_up_capabilities() -> None:
    """Lets no program inherit those that this process has, such as the one to listen on low ports; it keeps them."""
    if _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0):
        _raise_unless_unknown("prctl(PR_CAP_AMBIENT)")
    header = struct.pack("Ii", _CAPABILITY_VERSION, 0)
    held = ctypes.create_string_buffer(_CAPABILITIES.size)
    if _libc.capget(header, held):
        _raise_unless_unknown("capget")
        return
    low, low_permitted, _, high, high_permitted, _ = _CAPABILITIES.unpack(held.raw)
    if _libc.capset(header, _CAPABILITIES.pack(low, low_permitted, 0, high, high_permitted, 0)):
        _raise_unless_unknown("capset")


def _leave_session_keyring() -> None:
    """Takes a session keyring of its own: who has one inherited may use all keys that are in it, as any user."""
    number = _SYS_KEYCTL.get(platform.machine())
    if number is not None:
        # Where it can't be, keys are switched off, or withheld from all that run here.
        _libc.syscall(number, _KEYCTL_JOIN_SESSION_KEYRING, None)


def _raise_unless_unknown(call: str) -> None:
    """Raises what a call to the kernel failed with, unless the kernel has no such call: then there is nothing to do."""
    error = ctypes.get_errno()
    if error not in {errno.ENOSYS, errno.EINVAL}:
        raise OSError(error, f"{call}: {os.strerror(error)}")
