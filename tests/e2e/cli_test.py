"""The built worker-cli against the built worker-daemon, as a person uses them."""

from __future__ import annotations

import hashlib
import re
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

from jobworker_testing.world import Cli

if TYPE_CHECKING:
    from pathlib import Path

    from jobworker_testing.world import World

_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n")


def test_start_prints_the_id_and_nothing_else(world: World) -> None:
    """The output of start can be used as it is in scripts."""
    assert _UUID.fullmatch(world.cli().run("start", "--", "true"))


def test_logs_follows_to_the_end_from_the_first_byte(world: World) -> None:
    """A follow gives the whole stream and ends with the job; the two streams are kept apart."""
    cli = world.cli()
    job = cli.run("start", "--", "sh", "-c", "echo out; echo err >&2; sleep 0.1; echo done").decode().strip()
    assert cli.run("logs", "stdout", job) == b"out\ndone\n"
    assert cli.run("logs", "stderr", "--follow", job[:8]) == b"err\n"
    assert cli.run("logs", "stdout", job[:8], "--no-follow") == b"out\ndone\n"


def test_a_command_keeps_its_own_options(world: World) -> None:
    """Everything after -- goes to the job untouched, further -- and options of the CLI included."""
    cli = world.cli()
    job = cli.run("start", "--", "printf", "%s|", "--", "--help", "--address=x", "", "a b", "ü").decode().strip()
    assert cli.run("logs", "stdout", job).decode() == "--|--help|--address=x||a b|ü|"


def test_stop_ends_a_job_and_prints_its_status(world: World) -> None:
    """Stop returns when the job no longer runs, and a second one is no error."""
    cli = world.cli()
    job = cli.run("start", "--", "sleep", "600").decode().strip()
    assert cli.run("stop", job) == b"stopped\n"
    assert cli.run("stop", job) == b"stopped\n"


def test_stop_of_a_finished_job_prints_how_it_ended(world: World) -> None:
    """Stopping what has ended by itself is a success and doesn't change its status."""
    cli = world.cli()
    job = cli.run("start", "--", "sh", "-c", "exit 3").decode().strip()
    cli.run("logs", "stdout", job)
    assert cli.run("stop", job) == b"failed\n"
    assert b"3" in cli.run("status", job)


def test_list_shows_jobs_newest_first(world: World) -> None:
    """The newest job is on top of the table, and each line carries the full id."""
    cli = world.cli()
    first, second = (cli.run("start", "--", "true").decode().strip() for _ in range(2))
    listed = cli.run("list").decode()
    assert listed.index(second) < listed.index(first)


def test_a_viewer_lists_but_reads_no_logs(world: World) -> None:
    """Role LOG may list and query, and is told in one line what it may not do."""
    job = world.cli().run("start", "--", "echo", "secret").decode().strip()
    viewer = world.cli("viewer")
    assert job in viewer.run("list").decode()
    assert job in viewer.run("status", job).decode()
    for words in (("logs", "stdout", job), ("stop", job), ("start", "--", "true")):
        message = viewer.run(*words, code=1).decode()
        assert message.count("\n") == 1, message
        assert "FULL" in message, message


def test_errors_are_one_line_with_the_right_code(world: World, tmp_path: Path) -> None:
    """Each thing that can go wrong has its exit code and one line on stderr, without a traceback."""
    cli = world.cli()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
    cases = [
        (world.cli(address=nobody).run("list", code=3), nobody),
        (cli.run("status", "00000000-0000-4000-8000-000000000000", code=1), "00000000"),
        (cli.run("status", "nonsense", code=1), "nonsense"),
        (cli.run("start", "--", "no-such-program-here", code=1), "no-such-program-here"),
        (Cli((cli.command[0], f"--cert={tmp_path}/absent.pem")).run("list", code=2), "absent.pem"),
        (cli.run("start", code=2), ""),
        (cli.run("frobnicate", code=2), ""),
    ]
    for message, part in cases:
        text = message.decode()
        assert part in text, text
        assert "Traceback" not in text, text
    assert all(message.count(b"\n") == 1 for message, _ in cases), cases


def test_ctrl_c_ends_a_follow_and_leaves_the_job_alone(world: World) -> None:
    """An interrupted follow exits with 130; the job runs on."""
    cli = world.cli()
    job = cli.run("start", "--", "sh", "-c", "echo ready; sleep 600").decode().strip()
    with cli.popen("logs", "stdout", job) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == b"ready\n"
        following.send_signal(signal.SIGINT)
        assert following.wait() == 130
        assert following.stderr is not None
        assert b"Traceback" not in following.stderr.read()
    assert b"running" in cli.run("status", job)
    cli.run("stop", job)


def test_a_closed_pipe_ends_a_follow_quietly(world: World) -> None:
    """`logs | head -1` ends at once, though the job would write forever, and says nothing on stderr."""
    cli = world.cli()
    job = cli.run("start", "--", "yes").decode().strip()
    with cli.popen("logs", "stdout", job) as following:
        head = subprocess.run(["head", "-n", "1"], stdin=following.stdout, capture_output=True, check=True)
        assert head.stdout == b"y\n"
        assert following.stdout is not None
        following.stdout.close()
        following.wait()
        assert following.stderr is not None
        assert following.stderr.read() == b""
    cli.run("stop", job)


def test_100_mib_of_binary_output_is_exact(world: World) -> None:
    """What the CLI writes has the SHA-256 of what the job wrote, to the byte."""
    cli = world.cli()
    script = "head -c 104857600 /dev/urandom | tee /dev/stderr | sha256sum >digest"
    job = cli.run("start", "--", "sh", "-c", f"cd {world.state_dir}; {script}").decode().strip()
    with cli.popen("logs", "stderr", job) as following:
        assert following.stdout is not None
        digest, size = hashlib.sha256(), 0
        while block := following.stdout.read(1 << 20):
            digest.update(block)
            size += len(block)
        assert following.wait() == 0
    assert size == 100 << 20
    assert digest.hexdigest() == (world.state_dir / "digest").read_text().split()[0]
