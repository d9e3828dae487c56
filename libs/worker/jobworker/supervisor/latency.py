"""Has the kernel give this process the processor soon after it has something to do, before a job that is computing.

A process that was woken waits for whoever runs on that processor to have had its slice, some 3 ms. So a start took as
long as a program that ended before then: a supervisor that waits for its child's execve(2) is woken by that child, on
the child's processor if the other one is halted, as a virtual one soon is. 0.6 ms a start became 0.15 ms. Since Linux
6.12 a process can ask for a shorter slice, which it gets sooner and loses sooner
(https://docs.kernel.org/scheduler/sched-eevdf.html); it gets no more of the processor in all. Older kernels take the
request, and do nothing.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

SLICE_NS = 500_000
"""The slice asked for, in nanoseconds: longer than the supervisor ever works at a stretch for one job."""

# sched_setattr(2), and linux/sched.h.
_SYS_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
_SYS_SCHED_GETATTR = {"x86_64": 315, "aarch64": 275, "riscv64": 275}
_FLAG_RESET_ON_FORK = 0x01
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")  # struct sched_attr: size, policy, flags, nice, priority, runtime, ...

_libc = ctypes.CDLL(None, use_errno=True)


def ask_for_short_slices() -> bool:
    """Asks for them, for this process and none of its children, and returns whether the kernel has taken it.

    Not with a nice value below 0, which the jobs would not have then either, nor with any but the usual policy.
    """
    machine = platform.machine()
    if machine not in _SYS_SCHED_SETATTR:
        return False
    attributes = ctypes.create_string_buffer(_ATTRIBUTES.size)
    if _libc.syscall(_SYS_SCHED_GETATTR[machine], 0, attributes, _ATTRIBUTES.size, 0):
        return False
    size, policy, flags, nice, priority, _, deadline, period = _ATTRIBUTES.unpack(attributes)
    if policy != os.SCHED_OTHER or nice < 0:
        return False
    wanted = size, policy, flags | _FLAG_RESET_ON_FORK, nice, priority, SLICE_NS, deadline, period
    return not _libc.syscall(_SYS_SCHED_SETATTR[machine], 0, _ATTRIBUTES.pack(*wanted), 0)
