"""The program as a process of its own: signals, pipes, start-up and the floor under TLS."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cli_testing import Hang, data, end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli_testing import Folder, Identities, ScriptedService

# What no good call of `list` needs, though some library that it needs imports it, or might.
UNNEEDED = {
    *(b"argparse", b"dataclasses", b"email", b"hashlib", b"dis", b"pathlib", b"random", b"selectors", b"ssl"),
    *(b"subprocess", b"typing_extensions", b"uuid", b"asyncio.events", b"grpc.aio._channel", b"grpc_status"),
    *(b"cryptography", b"google.protobuf.text_format", b"google.rpc", b"jobworker.client.aio"),
}

PROGRAM = str(Path(os.environ["WORKER_CLI"]).absolute())


def finished(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Runs the program to its end."""
    env = {name: value for name, value in os.environ.items() if name != "BUILD_WORKING_DIRECTORY"} | environment
    return subprocess.run([PROGRAM, *words], env=env, capture_output=True, check=False)


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs the program until the context is left."""
    process = subprocess.Popen([PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        try:
            yield process
        finally:
            process.kill()


def read(process: subprocess.Popen[bytes], count: int) -> bytes:
    """Returns the next bytes that a program writes."""
    assert process.stdout is not None
    return process.stdout.read(count)


def test_output_is_whole_when_the_program_ends(service: ScriptedService, client: list[str]) -> None:
    """The quick exit loses nothing, however much is written."""
    piece = b"0123456789abcdef" * 4096
    service.reads.append([*(data(index * len(piece), piece) for index in range(64)), end(64 * len(piece))])
    done = finished(*client, "logs", "stdout", "5a2e")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == piece * 64


def test_frames_are_written_as_they_come(service: ScriptedService, client: list[str]) -> None:
    """A follower sees what came while the service is still silent about the rest."""
    service.reads.append([data(0, b"early"), Hang()])
    with running(*client, "logs", "stdout", "5a2e") as process:
        assert read(process, 5) == b"early"


def test_ctrl_c_ends_a_follow_with_130(service: ScriptedService, client: list[str]) -> None:
    """The call is cancelled, nothing is said, and the exit code is 130."""
    service.reads.append([data(0, b"early"), Hang()])
    with running(*client, "logs", "stdout", "5a2e") as process:
        assert read(process, 5) == b"early"
        service.hanging.wait()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        assert (process.returncode, said) == (130, b"")
    service.cancelled.wait()


def test_a_closed_pipe_ends_a_silent_follow(service: ScriptedService, client: list[str]) -> None:
    """As `| head -1` has its line and goes, the program goes too, though the job writes nothing more."""
    service.reads.append([data(0, b"early"), Hang()])
    with running(*client, "logs", "stdout", "5a2e") as process:
        assert read(process, 5) == b"early"
        service.hanging.wait()
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait() in {-signal.SIGPIPE, 128 + signal.SIGPIPE}
        assert process.stderr is not None
        assert process.stderr.read() == b""
    service.cancelled.wait()


def test_a_full_disk_is_told(client: list[str]) -> None:
    """Output that cannot be written is one line and exit code 1."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - no regular file
        done = subprocess.run([PROGRAM, *client, "list"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (1, b"worker-cli: cannot write the output: No space left on device\n")


def test_a_closed_stdout_is_told(client: list[str]) -> None:
    """Where stdout is closed, nothing else takes its number, least of all the connection."""
    script = 'exec "$0" "$@" >&-'
    # As one file: Bazel's launcher of the other form needs a stdout itself.
    command = [sys.executable, "-IS", os.environ["WORKER_CLI_PYZ"], *client, "list"]
    done = subprocess.run(["sh", "-c", script, *command], stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (1, b"worker-cli: cannot write the output: Bad file descriptor\n")


def test_help_loads_no_grpc() -> None:
    """Help, the version and wrong usage are answered without the greater part of the start-up time."""
    for words, code in ((["--help"], 0), (["--version"], 0), (["frobnicate"], 2)):
        done = finished(*words, PYTHONPROFILEIMPORTTIME="1")
        assert done.returncode == code
        loaded = [line.rpartition(b"|")[2].strip() for line in done.stderr.splitlines()]
        assert b"docopt" in loaded
        assert not [name for name in loaded if name.split(b".")[0] in {b"grpc", b"google", b"asyncio"}]


def test_a_good_call_loads_nothing_it_does_not_need(client: list[str]) -> None:
    """What only other verbs, errors or asyncio need is left out, and nothing large comes in unnoticed."""
    # As one file, on the bare interpreter: that is what a user waits for. Its first start unpacks it.
    program = ["-IS", os.environ["WORKER_CLI_PYZ"]]
    subprocess.run([sys.executable, *program, "--version"], check=True)
    command = [sys.executable, "-Ximporttime", *program, *client, "list"]
    done = subprocess.run(command, capture_output=True, check=False)
    loaded = {line.rpartition(b"|")[2].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert b"grpc" in loaded
    assert not loaded & UNNEEDED


def test_what_is_postponed_is_there_once_it_is_used() -> None:
    """A library that does use such a module, if only in a later version, notices nothing."""
    uses = """
import sys
from jobworker.cli.postponed import postponed
finders = list(sys.meta_path)
with postponed():
    import grpc
    from jobworker.v1 import job_worker_pb2
assert sys.meta_path == finders
loaded = {"asyncio.events", "grpc.aio._channel", "google.protobuf.text_format", "ssl"}
print(len(loaded & set(sys.modules)))
import asyncio, calendar, inspect, socket
from google.protobuf.internal import python_message
async def connect() -> None:
    async with grpc.aio.insecure_channel("localhost:1"):
        pass
asyncio.run(connect())
python_message.GeneratedProtocolMessageType, calendar.timegm, inspect.signature, socket.socket
print(len(loaded & set(sys.modules)))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.check_output([sys.executable, "-Sc", uses], env=environment).split() == [b"0", b"4"]


def test_nothing_below_tls_1_3_is_spoken(folder: Folder, identities: Identities, tmp_path: Path) -> None:
    """A server that offers TLS 1.2 at most finds no common ground, and the user is told why."""
    cert, key = identities.server.write(tmp_path, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    failures: list[str] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                context.wrap_socket(connection, server_side=True).close()
            except ssl.SSLError as error:
                failures.append(error.reason)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        done = finished("list", f"--address={address}", *folder.options())
        thread.join()
    assert failures == ["NO_SHARED_CIPHER"]
    assert (done.returncode, done.stdout) == (3, b"")
    assert f"{address} does not speak TLS 1.3".encode() in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_grpc_is_silent(folder: Folder, identities: Identities, client: list[str], tmp_path: Path) -> None:
    """A failed handshake gives our one line, and none of gRPC's own."""
    (tmp_path / "ca.pem").write_bytes(identities.stranger.cert_pem)
    done = finished("list", client[0], *folder.options()[1:], f"--ca={tmp_path}/ca.pem")
    assert (done.returncode, done.stderr.count(b"\n")) == (3, 1)


def test_debug_says_more_but_no_keys(folder: Folder, identities: Identities, client: list[str]) -> None:
    """--debug tells who calls whom on stderr; key material stays out of it."""
    done = finished(*client, "--debug", "list")
    said = done.stderr.decode()
    assert done.returncode == 0
    assert f"DEBUG jobworker.cli.connection: calling dns:///{client[0].partition('=')[2]}" in said
    assert identities.client.fingerprint in said
    assert "PRIVATE KEY" not in said
    assert folder.key.read_text().splitlines()[1] not in said


def test_paths_start_where_the_command_was_typed(client: list[str], folder: Folder) -> None:
    """Under `bazel run` the program runs elsewhere, and still finds the user's files."""
    words = [client[0], f"--ca={folder.ca.name}", f"--cert={folder.cert.name}", f"--key={folder.key.name}", "list"]
    assert finished(*words, BUILD_WORKING_DIRECTORY=str(folder.ca.parent)).returncode == 0
    assert finished(*words).returncode == 2


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    """An argument that the API cannot carry is one line, not a traceback."""
    done = subprocess.run([PROGRAM.encode(), b"start", b"--", b"\xff"], capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"worker-cli: argument 3 is not valid UTF-8")
