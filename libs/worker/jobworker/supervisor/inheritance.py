"""What jobs inherit beyond the supervisor's own: environment, directory, user; and how a job's process takes it on."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from typing import TYPE_CHECKING, NamedTuple

from jobworker.supervisor.clone import ChildError, clone_into
from jobworker.supervisor.protocol import STEP_DIRECTORY, STEP_PRIVILEGES, STEP_USER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from jobworker.supervisor.protocol import Configure

_PR_SET_NO_NEW_PRIVS = 38  # prctl(2); linux/prctl.h

# Ignored signals stay ignored over exec, unlike handled ones: a job gets back the defaults of those that Python ignores
# (SIGPIPE, SIGXFSZ), and of those that whoever started this process had ignored. Naming all signals here would cost a
# job 60 system calls.
IGNORED_SIGNALS = sorted(number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN)
"""Those that this process ignores, and a job is not to."""

# What the supervisor needs of jobs that are another user's: to give them their logs, to open these, to end them.
# linux/capability.h.
_NEEDED = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_KILL": 5}

# Not CDLL: it is called in a child, which must not wait for the lock that its parent's only thread holds.
_libc = ctypes.PyDLL(None, use_errno=True)


class JobUser(NamedTuple):
    """Whom jobs run as."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    """The supplementary groups."""


class Inheritance(NamedTuple):
    """What each job is given by the supervisor."""

    environment: Mapping[bytes, bytes]
    """All but the job's mark."""
    directory: bytes
    """The working directory."""
    run_as: JobUser | None
    """Whom it runs as; None for the supervisor's own user."""
    no_new_privileges: bool
    """Whether set-user-ID programs and their like give it no rights."""

    @property
    def needs_child(self) -> bool:
        """Whether a job's process has to do something before it executes its program that posix_spawn(3) can't."""
        return self.run_as is not None or self.no_new_privileges


def inheritance_of(request: Configure) -> Inheritance:
    """Returns what a worker asks for.

    Raises:
        ValueError: If it makes no sense; whoever asks for that is no worker.
    """
    try:
        environment = {_bytes(name): _bytes(value) for name, value in request.environment.items()}
        directory = _bytes(request.directory)
        groups = tuple(map(_id, request.groups))
        run_as = None if request.uid is None else JobUser(_id(request.uid), _id(request.gid), groups)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"no Configure: {error}") from None
    return Inheritance(environment, directory, run_as, bool(request.no_new_privileges))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _id(number: object) -> int:
    # The last one, -1, is "leave it as it is" to the kernel: then a job would go on as root.
    if type(number) is int and 0 <= number < (1 << 32) - 1:
        return number
    raise ValueError(f"no user or group id: {number!r:.200}")


def take_on(inheritance: Inheritance) -> None:
    """Makes this process, a child, one with the rights and the directory of a job; all of it, or it fails.

    Raises:
        ChildError: If it can't be; its step says what.
    """
    if inheritance.no_new_privileges and _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise ChildError(ctypes.get_errno(), STEP_PRIVILEGES)
    if inheritance.run_as is not None:
        _become(inheritance.run_as)
    try:
        # As the user, whose permissions count.
        os.chdir(inheritance.directory)
    except OSError as error:
        raise ChildError(error.errno or 0, STEP_DIRECTORY) from error


def _become(user: JobUser) -> None:
    """Drops to a user, in the order in which each step may still be taken; real, effective and saved ids alike."""
    ids = (user.gid,) * 3, (user.uid,) * 3
    try:
        os.setgroups(user.groups)
        os.setresgid(*ids[0])
        os.setresuid(*ids[1])
    except OSError as error:
        raise ChildError(error.errno or 0, STEP_USER) from error
    if (os.getresgid(), os.getresuid()) != ids or set(os.getgroups()) != set(user.groups):
        raise ChildError(errno.EPERM, STEP_USER)


def problem_of(inheritance: Inheritance) -> str:
    """Returns why jobs can't be given what they are to inherit, after having tried; empty if they can."""
    try:
        if inheritance.needs_child:
            os.waitpid(clone_into("", lambda: _try(inheritance)), 0)
        else:
            take_on(inheritance)
    except OSError as error:
        step = getattr(error, "step", "")
        return _WORDS.get(step, "{reason}").format(
            directory=os.fsdecode(inheritance.directory),
            uid=inheritance.run_as and inheritance.run_as.uid,
            reason=os.strerror(error.errno or 0),
        )
    missing = _missing() if inheritance.run_as is not None and inheritance.run_as.uid != os.geteuid() else []
    return f"the supervisor lacks {', '.join(missing)}, which it needs for another user's jobs" if missing else ""


_WORDS = {
    STEP_DIRECTORY: "jobs can't work in {directory}: {reason}",
    STEP_PRIVILEGES: "jobs can't be kept from new privileges: {reason}",
    STEP_USER: "jobs can't run as user {uid}: {reason}",
}


def _try(inheritance: Inheritance) -> NoReturn:
    take_on(inheritance)
    os._exit(0)


def _missing() -> list[str]:
    """Returns the capabilities, of those needed, that this process doesn't have."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        effective = next((int(line.split()[1], 16) for line in file if line.startswith("CapEff:")), 0)
    return [name for name, bit in _NEEDED.items() if not effective >> bit & 1]
