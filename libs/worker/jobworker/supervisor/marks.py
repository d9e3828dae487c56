"""What a process carries that shows which job it belongs to, whoever its parent is by now.

Of the marks, which a job's first process is born with and its children inherit, most are easily lost: the environment
by `env -i`, the output by closing it. One is not: the limit of file locks, getrlimit(2), which has had no effect since
Linux 2.4.25, and so is free to say who one is; nothing but a call made for it changes it, and it stays with a process
up to its being reaped. The kernel's lists tell the rest: children, their state, and when they were started.
"""

from __future__ import annotations

import os
import re
import resource
from typing import TYPE_CHECKING

from jobworker.supervisor.cgroups import PREFIX
from jobworker.supervisor.proc import read
from jobworker.supervisor.spawn import JOB_ID_VARIABLE, MARK_DIGITS, MARK_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LIMIT_NAME = b"Max file locks"
_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_LOG = re.compile(rf".*/({_ID})\.(?:stdout|stderr)[.0-9]*(?: \(deleted\))?")
_CGROUP = re.compile(rf"/{PREFIX}({_ID})(?=[/ ]|$)")
_VARIABLE = JOB_ID_VARIABLE.encode() + b"="
_STREAMS = (1, 2)


def key(job_id: str) -> str:
    """Returns the part of a job's id that all of its marks carry."""
    return job_id[: MARK_DIGITS + 2]


def job_of(pid: int, jobs: Mapping[str, str]) -> str:
    """Returns which of some jobs a process belongs to by what it carries; empty if to none of them.

    Args:
        pid: The process.
        jobs: The jobs' ids by `key`.

    Raises:
        OSError: If it can't be told since descriptors or memory ran out; the host's fault.
    """
    if job_id := job_of_limit(pid, jobs):
        return job_id
    for find in (_by_cgroup, _by_environment, _by_log):
        for found in find(pid):
            if key(found) in jobs:
                return jobs[key(found)]
    return ""


def job_of_limit(pid: int, jobs: Mapping[str, str]) -> str:
    """Returns which of some jobs a process belongs to by the mark that is not easily lost; see `job_of`."""
    try:
        number = resource.prlimit(pid, MARK_LIMIT)[0]
    except OSError:
        number = _limit_in_proc(pid)  # another user's, or gone
    digits = f"{number:0{MARK_DIGITS}x}"
    return jobs.get(f"{digits[:8]}-{digits[8:12]}-{digits[12:]}", "") if number > 0 else ""


def _limit_in_proc(pid: int) -> int:
    for line in read(f"/proc/{pid}/limits").splitlines():
        if line.startswith(_LIMIT_NAME):
            soft = line[len(_LIMIT_NAME) :].split()[0]
            return int(soft) if soft.isdigit() else 0
    return 0


def _by_cgroup(pid: int) -> Iterator[str]:
    # That of a zombie, too. A job may run jobs of its own, in cgroups below its own.
    for line in read(f"/proc/{pid}/cgroup").splitlines():
        if line.startswith(b"0::"):
            yield from _CGROUP.findall(line.decode("utf-8", "surrogateescape"))


def _by_environment(pid: int) -> Iterator[str]:
    for variable in read(f"/proc/{pid}/environ").split(b"\0"):
        if variable.startswith(_VARIABLE):
            yield variable[len(_VARIABLE) :].decode("ascii", "replace")


def _by_log(pid: int) -> Iterator[str]:
    for number in _STREAMS:
        try:
            match = _LOG.fullmatch(os.readlink(f"/proc/{pid}/fd/{number}"))
        except OSError:
            continue
        if match:
            yield match[1]
