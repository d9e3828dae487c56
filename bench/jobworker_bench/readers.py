"""Clients that read a log, each a process of its own, as real ones are.

Run as a program it is one: `python readers.py ADDRESS CERTS log|file`; it connects and says so, then reads what each
line of its stdin names, to the end, and says how many bytes that were, and when it had the last one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1 import job_worker_pb2_grpc as rpc
from jobworker_testing import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SEND = "/bare.Bare/Send"
"""The method of the bare gRPC server that sends the file which the request names."""


def _read_log(channel: grpc.Channel, job_id: str) -> int:
    """Reads a job's stdout until it is final.

    Raises:
        RuntimeError: If there is no end frame, or a piece is missing.
    """
    stub: rpc.JobWorkerServiceStub = rpc.JobWorkerServiceStub(channel)
    count = 0
    for response in stub.ReadLogs(pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT, follow=True)):
        if response.HasField("end"):
            return count
        if response.HasField("gap"):
            raise RuntimeError(f"a piece of the log of {job_id} was released")
        count += len(response.data.data)
    raise RuntimeError(f"the log of {job_id} ended without an end frame")


def _read_file(channel: grpc.Channel, path: str) -> int:
    """Reads a file from the bare gRPC server, as bytes that are no message."""
    send: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
        SEND, request_serializer=None, response_deserializer=None
    )
    return sum(map(len, send(path.encode())))


_READS = {"log": _read_log, "file": _read_file}


def _run(address: str, certs: Path, kind: str) -> None:
    with connect(address, certs) as channel:
        grpc.channel_ready_future(channel).result()
        print("ready", flush=True)
        for line in sys.stdin:
            count = _READS[kind](channel, line.strip())
            print(count, time.monotonic(), flush=True)


@dataclass(frozen=True, slots=True)
class Readers:
    """Clients that are connected.

    Attributes:
        processes: They.
    """

    processes: Sequence[subprocess.Popen[str]]

    def begin(self, name: str, count: int) -> None:
        """Has the first ones read.

        Args:
            name: The id of the job, or the path of the file.
            count: How many are to read it.
        """
        for process in self.processes[:count]:
            print(name, file=process.stdin, flush=True)

    def finish(self, count: int, size: int) -> float:
        """Waits until the first ones have read all, and returns when the last had: on the clock `time.monotonic`.

        Args:
            count: How many were to read.
            size: How many bytes each should have got.

        Raises:
            RuntimeError: If one got another number of bytes, or died.
        """
        said = [(process.stdout.readline() if process.stdout else "").split() for process in self.processes[:count]]
        if [words[:1] for words in said] != [[str(size)]] * count:
            raise RuntimeError(f"not every client got {size} bytes: {said}")
        return max(float(words[1]) for words in said)

    def rate(self, name: str, size: int, count: int = 1) -> float:
        """Returns how many bytes a second the first ones get together of what is there already.

        Args:
            name: The id of the job, or the path of the file.
            size: Of it, in bytes.
            count: How many are to read it.

        Raises:
            RuntimeError: If one got another number of bytes, or died.
        """
        begin = time.monotonic()
        self.begin(name, count)
        return count * size / (self.finish(count, size) - begin)


@contextmanager
def reading(address: str, certs: Path, kind: str, count: int) -> Iterator[Readers]:
    """Starts clients, and gives them once they are connected.

    Args:
        address: Of the server.
        certs: Folder of the development certificates.
        kind: "log" for clients of the daemon, "file" for those of the bare gRPC server.
        count: How many.

    Raises:
        RuntimeError: If one doesn't get connected.
    """
    command = [sys.executable, "-P", str(Path(__file__).absolute()), address, str(certs), kind]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with ExitStack() as stack:
        readers = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
            )
            for _ in range(count)
        ]
        if any(process.stdout is None or process.stdout.readline() != "ready\n" for process in readers):
            raise RuntimeError(f"a client of {address} did not get connected")
        yield Readers(readers)


if __name__ == "__main__":
    _run(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
