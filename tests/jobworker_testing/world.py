"""The built programs and a world for them: a daemon with the development certificates, and connections to it."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1 import job_worker_pb2_grpc as rpc
from jobworker_testing.certificates import client_options, connect, daemon_options
from jobworker_testing.daemon_process import DaemonProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CERTS = Path("certs").absolute()


def _program(variable: str) -> str:
    """Returns the path of a built program, which the test's target names in a variable."""
    return str(Path(os.environ[variable]).absolute())


@dataclass(frozen=True, slots=True)
class Cli:
    """worker-cli with the options that reach one daemon as one client.

    Attributes:
        command: The program and these options.
    """

    command: tuple[str, ...]

    def run(self, *words: str, code: int = 0) -> bytes:
        """Runs it and returns its stdout, or its stderr where another exit code than 0 is expected.

        Raises:
            AssertionError: If it ends with another exit code.
        """
        done = subprocess.run([*self.command, *words], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        assert done.returncode == code, (words, done.returncode, done.stdout[-2000:], done.stderr.decode())
        return done.stderr if code else done.stdout

    def popen(self, *words: str) -> subprocess.Popen[bytes]:
        """Starts it with pipes for its stdout and stderr."""
        return subprocess.Popen(
            [*self.command, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )


@dataclass(frozen=True, slots=True)
class World:
    """One daemon, and the ways to it.

    Attributes:
        daemon: The daemon.
    """

    daemon: DaemonProcess

    @property
    def state_dir(self) -> Path:
        """The daemon's state directory."""
        return self.daemon.state_dir

    def cli(self, client: str = "client", address: str | None = None) -> Cli:
        """Returns worker-cli as the client whose development certificate has this name."""
        options = [f"--address={address or self.daemon.address}", *client_options(_CERTS, client)]
        return Cli((_program("WORKER_CLI"), *options))

    @contextmanager
    def stub(self, client: str = "client") -> Iterator[rpc.JobWorkerServiceStub]:
        """Connects as a client with a connection of its own."""
        with connect(self.daemon.address, _CERTS, client) as channel:
            yield rpc.JobWorkerServiceStub(channel)


@contextmanager
def new_world(state_dir: Path | None = None, *options: str) -> Iterator[World]:
    """Starts a daemon of one's own.

    Args:
        state_dir: Its state directory; None for a fresh one, removed at the end.
        *options: Further options for it.
    """
    with DaemonProcess([_program("WORKER_DAEMON")], *daemon_options(_CERTS), *options, state_dir=state_dir) as daemon:
        yield World(daemon)


def start(stub: rpc.JobWorkerServiceStub, *command: str) -> str:
    """Starts a job and returns its id."""
    return stub.StartJob(pb.StartJobRequest(command=command)).job.id


def shell(stub: rpc.JobWorkerServiceStub, script: str) -> str:
    """Starts a shell script as a job and returns its id."""
    return start(stub, "sh", "-c", script)


def follow(stub: rpc.JobWorkerServiceStub, job_id: str, offset: int = 0) -> Iterator[pb.ReadLogsResponse]:
    """Follows a job's stdout and yields the frames."""
    request = pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT, offset=offset, follow=True)
    yield from stub.ReadLogs(request)


def output_of(frames: Iterator[pb.ReadLogsResponse] | Sequence[pb.ReadLogsResponse]) -> tuple[bytes, pb.Job]:
    """Returns the bytes of a read to its end, checking each offset, and the job of the end frame.

    Raises:
        AssertionError: If a frame doesn't continue the one before, or the end frame is missing.
    """
    parts: list[bytes] = []
    offset: int | None = None
    for frame in frames:
        if frame.HasField("end"):
            assert frame.end.offset == (offset if offset is not None else frame.end.offset)
            return b"".join(parts), frame.end.job
        assert frame.HasField("data"), frame
        assert frame.data.offset == (offset if offset is not None else frame.data.offset)
        offset = frame.data.offset + len(frame.data.data)
        parts.append(frame.data.data)
    raise AssertionError("a read that ended OK had no end frame")
