"""supervisord as a peer, told over its XML-RPC interface: its jobs are programs that its configuration names."""

from __future__ import annotations

import http.client
import itertools
import socket
import xmlrpc.client
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from jobworker_bench.peer import UnavailableError, at_once, daemon, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobworker_bench.peer import Crowd

_CONFIGURATION = """
[supervisord]
nodaemon=true
logfile={folder}/log
pidfile={folder}/pid
childlogdir={folder}
[unix_http_server]
file={folder}/socket
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:job]
command=/bin/true
process_name=%(process_num)d
numprocs={jobs}
autostart=false
autorestart=false
startsecs=0
"""


class _Connection(http.client.HTTPConnection):
    """HTTP over a socket in the file system, whose path is its host."""

    def connect(self) -> None:
        """See `http.client.HTTPConnection.connect`."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.host)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, connection: _Connection) -> None:
        super().__init__()
        self._kept = connection

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        """See `xmlrpc.client.Transport.make_connection`."""
        del host
        return self._kept


@contextmanager
def api(folder: Path, jobs: int) -> Iterator[Crowd]:
    """Gives a crowd of clients with a connection each."""
    (folder / "configuration").write_text(_CONFIGURATION.format(folder=folder, jobs=jobs))
    with daemon(["supervisord", "-c", str(folder / "configuration")]) as lines:
        wait_for(lines, b"supervisord started")

        def crowd(clients: int, each: int) -> None:
            numbers = itertools.count()

            def client() -> None:
                with closing(_Connection(str(folder / "socket"))) as connection:
                    server = xmlrpc.client.ServerProxy("http://supervisord", _Transport(connection))
                    for number in itertools.islice(numbers, each):
                        try:
                            server.supervisor.startProcess(f"job:{number}", False)  # noqa: FBT003 - waits for nothing
                        except xmlrpc.client.Fault as fault:
                            raise UnavailableError(fault.faultString) from fault

            at_once(clients, client)
            wait_for(lines, b"exited: ", clients * each)

        yield crowd
