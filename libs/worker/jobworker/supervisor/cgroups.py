"""A cgroup for each job: what is in it can't leave without root's help, is killed in one step, and is counted exactly.

The kernel's own words: https://docs.kernel.org/admin-guide/cgroup-v2.html. Needed are `cgroup.kill` (Linux 5.14) and
CLONE_INTO_CGROUP (5.7); no controller is, so a v2 tree beside a v1 one serves as well.
"""

from __future__ import annotations

import errno
import os
import re
import select
from contextlib import suppress
from typing import TYPE_CHECKING

from jobworker.supervisor.clone import clone_into
from jobworker.supervisor.proc import EXHAUSTED, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PREFIX = "jobworker-"
"""What a job's cgroup's name begins with; the job's id follows."""


def own_cgroup() -> str:
    """Returns the path of this process's cgroup in the v2 tree; empty if the host has none.

    Raises:
        OSError: If /proc is not readable; the host's fault.
    """
    with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        cgroup = unified_path(file)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return directory_of(cgroup, file)


def unified_path(cgroup: Iterable[str]) -> str:
    """Returns a process's place in the v2 tree, by cgroups(7): the line `0::/path`; empty if it has none."""
    return next((line.rstrip("\n").partition("::")[2] for line in cgroup if line.startswith("0::")), "")


def directory_of(cgroup: str, mountinfo: Iterable[str]) -> str:
    """Returns the directory of a cgroup, by proc_pid_mountinfo(5); empty if no mount shows it.

    Args:
        cgroup: Its place in the v2 tree; empty for none.
        mountinfo: The lines of /proc/PID/mountinfo.
    """
    for line in mountinfo if cgroup else ():
        head, _, tail = line.partition(" - ")
        if tail.partition(" ")[0] != "cgroup2":
            continue
        # A container may see a part of the tree alone, or be itself outside of what its cgroup namespace shows.
        root, point = map(_unescaped, head.split(" ")[3:5])
        below = f"{cgroup}/".removeprefix(root.rstrip("/") + "/")
        if below != f"{cgroup}/" and ".." not in below.split("/"):
            return os.path.normpath(f"{point}/{below}")
    return ""


def usable_root(wanted: str) -> tuple[str, str]:
    """Returns the cgroup in which jobs' cgroups can be made, after having tried.

    Args:
        wanted: Its path; "auto" for this process's own, "off" for none.

    Returns:
        Its path, empty for none, and why the wanted one can't be used, empty if it can or none was wanted.
    """
    if wanted == "off":
        return "", ""
    try:
        root = own_cgroup() if wanted == "auto" else wanted
        problem = _try(root) if root else "the host has no cgroup v2 tree, or does not show this process's place in it"
    except OSError as error:
        root, problem = "", error.strerror or str(error)
    return ("", problem) if problem else (root, "")


def _try(root: str) -> str:
    if not os.path.isabs(root):
        return f"{root!r} is no absolute path"
    cgroup = f"{root}/{PREFIX}probe-{os.urandom(8).hex()}"
    try:
        os.mkdir(cgroup)
    except OSError as error:
        return f"no cgroup can be made in {root}: {error.strerror}"
    try:
        if not os.path.exists(f"{cgroup}/cgroup.kill"):
            return f"{root} is no cgroup v2 directory, or the kernel is older than 5.14: there is no cgroup.kill"
        pid = clone_into(cgroup, lambda: os._exit(0))
        os.waitpid(pid, 0)
    except OSError as error:
        return f"no process can be made in a cgroup of {root}: {error.strerror}"
    finally:
        remove(cgroup)
    return ""


def processes(cgroup: str) -> set[int]:
    """Returns the ids of the processes that live in a cgroup or below it; none if it is not there.

    Raises:
        OSError: If descriptors or memory ran out; the host's fault.
    """
    # Of one that is threaded, the processes are listed above it.
    return {int(pid) for directory in _directories(cgroup) for pid in read(f"{directory}/cgroup.procs").split()}


def kill(cgroup: str) -> None:
    """Kills every process in a cgroup and below it, also those that are being forked meanwhile.

    But for one kind: a process whose first thread has ended while others go on. Linux (6.18) sends the signal to that
    thread alone, where it is lost. A signal to the process's id ends it.

    Raises:
        OSError: If descriptors or memory ran out; the host's fault. One that is not there, or "", has no process.
    """
    if not cgroup:
        return
    with suppress(FileNotFoundError):
        descriptor = os.open(f"{cgroup}/cgroup.kill", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"1")
        except OSError as error:
            _raise_unless_removed(error)
        finally:
            os.close(descriptor)


def wait_until_empty(cgroup: str) -> None:
    """Returns once no live process is in a cgroup or below it; it blocks.

    Raises:
        OSError: If descriptors or memory ran out; the host's fault.
    """
    poll = select.poll()
    emptiness = Emptiness(poll)
    while emptiness.is_awaited(cgroup):
        poll.poll()


def remove_if_empty(cgroup: str) -> bool:
    """Removes a cgroup that has neither live processes nor cgroups below it, and returns whether it had none.

    The kernel does one or the other, and once it is removed nobody can come in. What has exited, and waits for its
    parent to reap it, does not count.

    Args:
        cgroup: Its path; empty for none, which is not removed.
    """
    if not cgroup:
        return False
    try:
        os.rmdir(cgroup)
    except OSError:
        return False
    return True


def remove(cgroup: str) -> None:
    """Removes an empty cgroup and those that the job has made in it; one that is not empty, or not there, stays so.

    Args:
        cgroup: Its path; empty for none.
    """
    if not cgroup or remove_if_empty(cgroup):
        return
    with suppress(OSError):
        for directory in reversed(list(_directories(cgroup))):
            os.rmdir(directory)


class Emptiness:
    """Says which cgroups are empty, and has it reported of the others when they are.

    Only live processes count: what has exited, and waits for its parent to reap it, does not.
    """

    def __init__(self, poll: select.poll) -> None:
        """Waits for nothing yet.

        Args:
            poll: Where the descriptors are registered that are to be reported, for POLLPRI.
        """
        self._poll = poll
        self._descriptors: dict[str, int] = {}
        self._cgroups: dict[int, str] = {}

    def __repr__(self) -> str:
        return f"<Emptiness awaited={len(self._cgroups)}>"

    def is_awaited(self, cgroup: str) -> bool:
        """Returns whether a live process is in a cgroup or below it; if so, it will be reported when that changes.

        Args:
            cgroup: Its path. One that is not there, or that has no name, is empty.

        Raises:
            OSError: If descriptors or memory ran out; the host's fault.
        """
        descriptor = self._descriptors.get(cgroup)
        if descriptor is None:
            descriptor = self._open(cgroup)
        if descriptor is None or _is_populated(descriptor):
            return descriptor is not None
        self.forget(cgroup)
        return False

    def forget(self, cgroup: str) -> None:
        """Has a cgroup not be reported, if it was to be."""
        descriptor = self._descriptors.pop(cgroup, None)
        if descriptor is not None:
            self._poll.unregister(descriptor)
            del self._cgroups[descriptor]
            os.close(descriptor)

    def reported(self, descriptor: int) -> str:
        """Returns the cgroup whose descriptor was reported, which must then be asked for; empty if it is not one."""
        return self._cgroups.get(descriptor, "")

    def _open(self, cgroup: str) -> int | None:
        if not cgroup:
            return None
        try:
            descriptor = os.open(f"{cgroup}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        self._poll.register(descriptor, select.POLLPRI)
        self._descriptors[cgroup], self._cgroups[descriptor] = descriptor, cgroup
        return descriptor


def _is_populated(events: int) -> bool:
    try:
        return b"populated 1" in os.pread(events, 4096, 0)
    except OSError as error:
        _raise_unless_removed(error)
        return False


def _raise_unless_removed(error: OSError) -> None:
    # Somebody has removed the cgroup: it was empty.
    if error.errno != errno.ENODEV:
        raise error


def _unescaped(field: str) -> str:
    """Returns a path in which the kernel has written spaces, and a few other characters, as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _directories(cgroup: str) -> Iterator[str]:
    return (directory for directory, _, _ in os.walk(cgroup, onerror=_raise_if_exhausted))


def _raise_if_exhausted(error: OSError) -> None:
    # Else it was removed meanwhile, or isn't there.
    if error.errno in EXHAUSTED:
        raise error
