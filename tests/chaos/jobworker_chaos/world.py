"""A daemon that is killed, and started again on the same state directory and port; and what must not be left of it."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import socket
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from jobworker.supervisor.cgroups import PREFIX
from jobworker.supervisor.spawn import JOB_ID_VARIABLE
from jobworker_testing import (
    DaemonDiedError,
    DaemonProcess,
    ProcessHandle,
    children_of,
    daemon_options,
    supervisor_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_CGROUPS = Path("/sys/fs/cgroup")
_TROUBLE = re.compile(r"level=error|Traceback|\bError\b")
_LONGEST_START_SECONDS = 1.5


@final
@dataclass(frozen=True, slots=True)
class Setting:
    """What a campaign's daemon is.

    Attributes:
        program: The built daemon.
        certs: The folder of the development certificates.
        cgroup_root: As --cgroup-root.
    """

    program: Path
    certs: Path
    cgroup_root: str = "auto"


@final
class ChaosDaemon:
    """A daemon that may be killed at any moment, also while it starts.

    Attributes:
        address: Where it listens, whenever it does.
        state_dir: Its state directory.
        kills: How many daemons were killed.
        kills_while_starting: How many of them were not ready yet.
        upgrades: How many daemons were ended in order, with jobs kept, for another one.
        supervisors_killed: How many supervisors were killed.
    """

    def __init__(self, process: DaemonProcess, address: str) -> None:
        """Takes a daemon that runs."""
        self._process = process
        self._log: list[str] = []
        self.address = address
        self.state_dir = process.state_dir
        self.kills = 0
        self.kills_while_starting = 0
        self.upgrades = 0
        self.supervisors_killed = 0

    def __repr__(self) -> str:
        return f"<ChaosDaemon {self.address} kills={self.kills}>"

    async def kill(self) -> None:
        """Kills it and waits for its end."""
        self.kills += 1
        await self._end(signal.SIGKILL)

    async def start(self) -> None:
        """Starts it again and waits until it is ready.

        Raises:
            DaemonDiedError: If it ends before that.
        """
        await asyncio.to_thread(self._process.start)

    async def start_and_kill(self, seconds: float) -> None:
        """Starts it again and kills it after so long, whether it is ready by then or not.

        Raises:
            DaemonDiedError: If it ends by itself before that.
        """
        before = self._process.process
        starting = asyncio.create_task(self.start())
        done, _ = await asyncio.wait([starting], timeout=seconds)
        if done or self._process.process is before:  # the thread has not even come to it
            await starting
            await self.kill()
            return
        self._process.signal(signal.SIGKILL)
        with suppress(DaemonDiedError):
            await starting
        if await self._end(signal.SIGKILL) != -signal.SIGKILL:
            raise DaemonDiedError(f"it was not killed, and ended:\n{''.join(self._log)}")
        self.kills += 1
        self.kills_while_starting += 1

    def kill_supervisor(self) -> None:
        """Kills the supervisor, which the daemon notices or not: it may be dead too."""
        pid = supervisor_of(self.state_dir)
        if pid is None:
            return
        with suppress(ProcessLookupError), ProcessHandle(pid) as supervisor:
            os.kill(pid, signal.SIGKILL)
            supervisor.wait()
            self.supervisors_killed += 1

    async def stop(self) -> int:
        """Has it end in order, leaving the jobs, and returns its exit code."""
        return await self._end(signal.SIGTERM)

    async def upgrade(self) -> None:
        """Has it end in order, leaving the jobs, and starts it again, as one does for a new version.

        Raises:
            DaemonDiedError: If it does not end well, or ends again before it is ready.
        """
        code = await self.stop()
        if code:
            raise DaemonDiedError(f"it exited with {code}:\n{''.join(self._log)}")
        self.upgrades += 1
        await self.start()

    async def _end(self, number: signal.Signals) -> int:
        code = await asyncio.to_thread(self._process.stop, number)
        self._note_log()
        return code

    def _note_log(self) -> None:
        self._log += self._process.lines

    def problems(self) -> list[str]:
        """Returns what daemons that have ended, and supervisors, said of trouble that they had themselves."""
        told = [f"the daemon said: {line.strip()}" for line in self._log if _TROUBLE.search(line)]
        with suppress(FileNotFoundError):
            said = (self.state_dir / "supervisor.log").read_text()
            told += [f"the supervisor said: {said}"] if said else []
        return told

    def strays(self) -> list[str]:
        """Returns what is left of jobs, all of which have ended, in the supervisor and its records."""
        # All but spare files, "spare-…", begin with a hexadecimal digit.
        left = [f"record {path.name}" for path in (self.state_dir / "records").glob("[!s]*")]
        supervisor = supervisor_of(self.state_dir)
        return left + [f"child {pid} of the supervisor" for pid in (children_of(supervisor) if supervisor else [])]


@contextmanager
def running(setting: Setting) -> Iterator[ChaosDaemon]:
    """Runs a daemon on a port and a state directory of its own; in the end nothing is left of either."""
    address = f"127.0.0.1:{_free_port()}"
    options = [
        *daemon_options(setting.certs),
        f"--cgroup-root={setting.cgroup_root}",
        "--keep-jobs",
        "--start-rate=0",
        "--max-calls-per-connection=0",
        "--log-level=warning",
    ]
    with (
        tempfile.TemporaryDirectory(prefix="jobworker-chaos-") as state_dir,
        DaemonProcess([str(setting.program)], *options, state_dir=Path(state_dir), address=address) as process,
    ):
        yield ChaosDaemon(process, address)


def moments(rng: random.Random, kills: int, seconds: float) -> list[float]:
    """Returns how long to wait before each of so many kills, which are spread over some time at chance.

    The first few seconds, in which there are hardly any jobs yet, are left out.
    """
    times = sorted(rng.uniform(seconds / 5, seconds) for _ in range(kills))
    return [later - sooner for sooner, later in zip([0.0, *times], times, strict=False)]


def chance_of_start(rng: random.Random) -> float | None:
    """Returns after how many seconds a daemon that starts is to be killed; None, mostly, if it isn't."""
    return rng.uniform(0, _LONGEST_START_SECONDS) if rng.random() < 0.3 else None  # noqa: PLR2004 - some


def leftovers(job_ids: Collection[str]) -> list[str]:
    """Returns the processes and cgroups of jobs that are there, all of whose jobs have ended."""
    ids = frozenset(job_ids)
    processes = {path.name: _job_of(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    return [
        *(f"cgroup {path}" for path, _, _ in os.walk(_CGROUPS) if Path(path).name.removeprefix(PREFIX) in ids),
        *(f"process {pid} of job {job_id}" for pid, job_id in processes.items() if job_id in ids),
    ]


def _job_of(process: Path) -> str:
    try:
        environment = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return ""  # gone, or another user's
    prefix = f"{JOB_ID_VARIABLE}=".encode()
    return next((one.removeprefix(prefix).decode() for one in environment if one.startswith(prefix)), "")


def _free_port() -> int:
    """Returns a port that is free now, and that no connection will be given for its own end meanwhile."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(1024, max(first, 2048))  # noqa: S311 - chance, not secrets
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
