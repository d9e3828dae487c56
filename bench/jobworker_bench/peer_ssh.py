"""An sshd of our own on the loopback, with keys made for it, as a peer."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jobworker_bench.peer import ENVIRONMENT, at_once, daemon, run, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker_bench.peer import Crowd

# Debian's sshd insists on it when root starts it; its service makes and removes it.
_PRIVILEGE_SEPARATION = Path("/run/sshd")
_CONFIGURATION = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
AuthenticationMethods publickey
LogLevel INFO
PidFile none
StrictModes no
MaxStartups 1000
MaxSessions 1000
"""
_OPTIONS = ("BatchMode=yes", "IdentitiesOnly=yes", "UserKnownHostsFile={folder}/known", "IdentityFile={folder}/user")


@contextmanager
def connection_each(folder: Path, jobs: int) -> Iterator[Crowd]:
    """Gives a crowd that runs ssh for each job, which makes a connection."""
    del jobs
    with _sshd(folder) as ssh:
        run([*ssh, "/bin/true"])
        yield _crowd(ssh)


@contextmanager
def multiplexed(folder: Path, jobs: int) -> Iterator[Crowd]:
    """Gives a crowd that runs ssh for each job, over one connection that stays."""
    del jobs
    with _sshd(folder) as ssh:
        over = [ssh[0], "-S", str(folder / "master"), *ssh[1:]]
        # It goes into the background once it is connected.
        subprocess.run([over[0], "-MNf", *over[1:]], check=True, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        try:
            yield _crowd(over)
        finally:
            run([over[0], "-O", "exit", *over[1:]])


def _crowd(ssh: list[str]) -> Crowd:
    def client(each: int) -> None:
        for _ in range(each):
            run([*ssh, "/bin/true"])

    return lambda clients, each: at_once(clients, lambda: client(each))


@contextmanager
def _sshd(folder: Path) -> Iterator[list[str]]:
    """Runs the server and gives the command of a client, to which the job's is added."""
    for name in ("host", "user"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "configuration").write_text(_CONFIGURATION.format(port=port, folder=folder))
    # It demands to be called by its whole path.
    command = [str(shutil.which("sshd", path=ENVIRONMENT["PATH"])), "-De", "-f", str(folder / "configuration")]
    options = [word for option in _OPTIONS for word in ("-o", option.format(folder=folder))]
    with _privilege_separation(), daemon(command) as lines:
        wait_for(lines, b"Server listening on")
        yield ["ssh", "-F", "none", *options, "-p", str(port), f"{getpass.getuser()}@127.0.0.1"]


@contextmanager
def _privilege_separation() -> Iterator[None]:
    if os.geteuid() or _PRIVILEGE_SEPARATION.exists():
        yield
        return
    _PRIVILEGE_SEPARATION.mkdir(mode=0o755)
    try:
        yield
    finally:
        _PRIVILEGE_SEPARATION.rmdir()
