"""Certificates of every kind, and real daemons that serve with them, for the tests of the daemon."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, final

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from devcerts import Authority, KeyType, Usage, Validity
from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1 import job_worker_pb2_grpc as rpc
from jobworker_testing import DaemonProcess, connect, daemon_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_EC = KeyType.EC_P256


class Frames(Protocol):
    """A call of ReadLogs under way."""

    def __iter__(self) -> Iterator[pb.ReadLogsResponse]:
        """Yields the frames."""

    def __next__(self) -> pb.ReadLogsResponse:
        """Returns the next frame."""

    def initial_metadata(self) -> object:
        """Waits for the first that the server sends, which comes with the first frame."""

    def cancel(self) -> bool:
        """Ends the call."""


def program() -> list[str]:
    """Returns the command of the daemon: the built program where there is one, else the module."""
    built = os.environ.get("WORKER_DAEMON")
    return [str(Path(built).absolute())] if built else [sys.executable, "-m", "jobworker.daemon"]


@final
@dataclass(frozen=True, slots=True)
class Pki:
    """A folder of certificates: a CA, a server, and the clients full, log, both, stranger, expired, future, foreign.

    Attributes:
        folder: Where the files are.
        fingerprints: The clients' fingerprints, by name.
    """

    folder: Path
    fingerprints: dict[str, str]

    @classmethod
    def make(cls, folder: Path) -> Pki:
        """Makes a set in a folder; foreign is of another CA, and all but stranger are in the role table."""
        ca, other = Authority("test CA", key_type=_EC), Authority("other CA", key_type=_EC)
        names = ["localhost", "127.0.0.1", "::1"]
        ca.issue("server", alternative_names=names, usages=[Usage.SERVER], key_type=_EC).write(folder, "server")
        clients = {name: ca.issue(name, key_type=_EC) for name in ("full", "log", "both", "stranger")}
        clients["expired"] = ca.issue("expired", key_type=_EC, validity=Validity.days(-2, -1))
        clients["future"] = ca.issue("future", key_type=_EC, validity=Validity.days(1, 2))
        clients["foreign"] = other.issue("foreign", key_type=_EC)
        for name, client in clients.items():
            client.write(folder, name)
        (folder / "ca-cert.pem").write_bytes(ca.cert_pem)
        made = cls(folder, {name: client.fingerprint for name, client in clients.items()})
        full = [made.fingerprints[name] for name in ("full", "both", "expired", "future", "foreign")]
        log = [made.fingerprints[name] for name in ("log", "both")]
        (folder / "roles.toml").write_text(f"FULL = {full}\nLOG = {log}\n")
        return made

    def file(self, name: str) -> str:
        """Returns the path of a file."""
        return str(self.folder / name)

    def client(self, name: str) -> tuple[str, str]:
        """Returns the files of a client's certificate and key."""
        return self.file(f"{name}-cert.pem"), self.file(f"{name}-key.pem")

    def options(self, **others: str) -> list[str]:
        """Returns the daemon's options for these files, with others in place of some or beside them."""
        return daemon_options(self.folder, **others)


@final
@dataclass(frozen=True, slots=True)
class World:
    """A daemon that runs, and the ways to it.

    Attributes:
        daemon: The daemon.
        pki: The certificates that it serves with.
    """

    daemon: DaemonProcess
    pki: Pki

    @property
    def state_dir(self) -> Path:
        """The daemon's state directory."""
        return self.daemon.state_dir

    @contextmanager
    def channel(self, client: str = "full") -> Iterator[grpc.Channel]:
        """Connects as a client, with a connection of its own."""
        with connect(self.daemon.address, self.pki.folder, client) as channel:
            yield channel

    @contextmanager
    def stub(self, client: str = "full") -> Iterator[rpc.JobWorkerServiceStub]:
        """Connects as a client, and returns the service's stub."""
        with self.channel(client) as channel:
            yield rpc.JobWorkerServiceStub(channel)

    def descriptors(self) -> int:
        """Returns how many descriptors the daemon has open."""
        return len(list(Path(f"/proc/{self.daemon.pid}/fd").iterdir()))

    def end(self) -> int:
        """Waits until the daemon has ended by itself, or by a signal that it got already, and returns its exit code."""
        self.daemon.process.wait()
        return self.daemon.stop()

    def call_line(self, method: str) -> str:
        """Returns the log's next line of a call of a method, once it is there."""
        return self.daemon.wait_for_line(re.compile(f"^.*event=call .*method=[^ ]*/{method} .*$", re.MULTILINE))[0]


@contextmanager
def new_world(
    pki: Pki,
    *options: str,
    state_dir: Path | None = None,
    environment: dict[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> Iterator[World]:
    """Starts a daemon of one's own.

    Args:
        pki: The certificates to serve with.
        *options: Further options.
        state_dir: Its state directory; None for a fresh one, removed at the end.
        environment: Variables to add to this process's.
        prefix: A program to start it with, which becomes it.
    """
    command = [*prefix, *program()]
    with DaemonProcess(command, *pki.options(), *options, state_dir=state_dir, environment=environment) as daemon:
        yield World(daemon, pki)


def run_to_its_end(*options: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a daemon that is expected to give up by itself, with a state directory of its own unless told otherwise."""
    with tempfile.TemporaryDirectory(prefix="jobworker-state-") as state_dir:
        return subprocess.run(
            [*program(), *options],
            env={**os.environ, "JOBWORKER_STATE_DIR": state_dir, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )


def shell(stub: rpc.JobWorkerServiceStub, script: str) -> str:
    """Starts a shell script as a job, and returns the job's id."""
    return stub.StartJob(pb.StartJobRequest(command=["sh", "-c", script])).job.id


def follow(stub: rpc.JobWorkerServiceStub, job_id: str, offset: int = 0) -> Frames:
    """Follows a job's stdout."""
    request = pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT, offset=offset, follow=True)
    return cast("Frames", stub.ReadLogs(request))


def finish(stub: rpc.JobWorkerServiceStub, job_id: str) -> tuple[bytes, pb.Job]:
    """Waits until a job has ended, and returns what it wrote to stdout and how it is then."""
    *data, last = follow(stub, job_id)
    return b"".join(frame.data.data for frame in data), last.end.job


def read_until(frames: Iterator[pb.ReadLogsResponse], text: bytes) -> bytes:
    """Returns what was read up to the frame that completes a text."""
    read = b""
    while text not in read:
        read += next(frames).data.data
    return read


def reason_of(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    """Makes a call that ends with an error, and returns its code and the reason that a program may rely on.

    Raises:
        AssertionError: If it ends without one.
    """
    error = refusal_of(call)
    status = rpc_status.from_call(error)
    assert status.message == error.details()
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return error.code(), info.reason


def refusal_of(call: Callable[[], object]) -> grpc.Call:
    """Makes a call that ends with an error, and returns the call, which knows the error.

    Raises:
        AssertionError: If it ends without one.
    """
    try:
        answer = call()
    except grpc.RpcError as error:
        # Every error of a call is the call too, which grpc's types don't say.
        return cast("grpc.Call", error)
    raise AssertionError(f"no error, but {answer}")


def raw_call(channel: grpc.Channel, method: str, request: bytes, arity: str = "uu") -> object:
    """Calls a method with any bytes, as one of an arity, and returns its first response.

    Args:
        channel: A connection.
        method: The method's full name, without the first slash.
        request: The bytes.
        arity: u or s, for unary or stream, for the request and for the response.

    Raises:
        grpc.RpcError: If the call ends with an error.
    """
    kinds = {"u": "unary", "s": "stream"}
    make = getattr(channel, f"{kinds[arity[0]]}_{kinds[arity[1]]}")
    answer = make(f"/{method}")(request if arity[0] == "u" else iter([request]))
    return answer if arity[1] == "u" else next(answer)
