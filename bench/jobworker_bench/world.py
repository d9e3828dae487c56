"""The built programs, and daemons to measure."""

from __future__ import annotations

import itertools
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, final

from jobworker_bench.client import Client, connect
from jobworker_testing import daemon_options, logging_daemon, supervisor_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

# What is measured is how fast it is, not how fast one client may be.
_NO_LIMITS = ("--start-rate=0", "--max-calls-per-connection=0")


@final
@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon that serves.

    Attributes:
        address: Where it listens, host:port.
        pid: Its process id.
        state_dir: Its state directory.
        certs: Folder of the development certificates.
    """

    address: str
    pid: int
    state_dir: Path
    certs: Path

    @property
    def supervisor(self) -> int:
        """The process id of its supervisor.

        Raises:
            RuntimeError: If it has none: it has died.
        """
        pid = supervisor_of(self.state_dir)
        if pid is None:
            raise RuntimeError(f"the daemon on {self.state_dir} has no supervisor")
        return pid

    @property
    def pids(self) -> tuple[int, int]:
        """The process ids of itself and of its supervisor.

        Raises:
            RuntimeError: If it has no supervisor.
        """
        return self.pid, self.supervisor

    def connect(self) -> AbstractContextManager[Client]:
        """Connects to it, with a connection of its own and role FULL."""
        return connect(self.address, self.certs)


@final
@dataclass(frozen=True, slots=True)
class World:
    """What loads are run with.

    Attributes:
        root: The folder in which the programs and the certificates are, as in the repository.
        scratch: A folder that is removed at the end.
    """

    root: Path
    scratch: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def certs(self) -> Path:
        """Folder of the development certificates."""
        return self.root / "certs"

    @property
    def cli_command(self) -> tuple[str, ...]:
        """The command that runs worker-cli."""
        return self._program("WORKER_CLI", "tools/cli")

    @property
    def daemon_command(self) -> tuple[str, ...]:
        """The command that runs a daemon with the development certificates and without limits on rates."""
        return (*self._program("WORKER_DAEMON", "services/daemon"), *daemon_options(self.certs), *_NO_LIMITS)

    def _program(self, variable: str, folder: str) -> tuple[str, ...]:
        """Returns the command that a variable gives, else that of the single file, run by this very interpreter."""
        if program := os.environ.get(variable):
            return (program,)
        return (sys.executable, "-IS", str(self.root / folder / f"{variable.lower().replace('_', '-')}.pyz"))

    def limit(self, name: str) -> Path:
        """Returns where one of the C programs is that show what the kernel alone takes."""
        return Path(os.environ.get("BENCH_LIMITS") or self.root / "bench/limits") / name

    def folder(self, name: str) -> Path:
        """Makes an empty folder for one use, such as a state directory."""
        folder = self.scratch / f"{name}-{next(self._numbers)}"
        folder.mkdir(mode=0o700)
        return folder

    @contextmanager
    def daemon(self, *options: str, state_dir: Path | None = None) -> Iterator[Daemon]:
        """Runs a daemon of the load's own; its log is the file `log` in its state directory.

        Args:
            *options: Further options for it.
            state_dir: Its state directory; None for a fresh one.

        Yields:
            The daemon, ready.

        Raises:
            jobworker_testing.DaemonDiedError: If it ends before it is ready.
        """
        state_dir = state_dir or self.folder("state")
        with logging_daemon(self.daemon_command, *options, state_dir=state_dir) as (address, pid):
            yield Daemon(address, pid, state_dir, self.certs)
