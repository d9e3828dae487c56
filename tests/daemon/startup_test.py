"""What the daemon says and does when it starts, well or not."""

from __future__ import annotations

import os
import re
import resource
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon_world import follow, new_world, program, read_until, run_to_its_end, shell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon_world import Pki, World


@pytest.fixture
def taken() -> Iterator[str]:
    """An address that something listens on: a daemon that tried to bind it would not say anything else."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def _refusal(*options: str, code: int = 2, environment: dict[str, str] | None = None) -> str:
    """Returns the one line that a daemon says before it ends with a code."""
    done = run_to_its_end(*options, environment=environment)
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout, len(lines)) == (code, "", 1), done.stderr
    assert lines[0].startswith("worker-daemon: ")
    return lines[0]


def test_ready_line(world: World) -> None:
    """READY tells the port that port 0 became."""
    host, _, port = world.daemon.address.rpartition(":")
    assert host == "127.0.0.1"
    assert int(port) > 0


def test_ready_line_stands_alone(world: World) -> None:
    """READY is a line of its own form, which a program can wait for whatever the log looks like."""
    assert f"READY address={world.daemon.address}\n" in world.daemon.lines


@pytest.mark.parametrize("address", ["localhost:0", "[::1]:0"])
def test_other_addresses(pki: Pki, tmp_path: Path, address: str) -> None:
    """The daemon listens on names and on IPv6 too, and says on which address."""
    command = [*program(), *pki.options(address=address, state_dir=str(tmp_path))]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as daemon:
        assert daemon.stderr
        ready = next(line for line in daemon.stderr if line.startswith("READY "))
        daemon.terminate()
        daemon.stderr.read()
    assert re.fullmatch(r"READY address=(\[::1\]|127\.0\.0\.1):[1-9]\d*\n", ready)
    assert daemon.returncode == 0


@pytest.mark.parametrize(
    ("option", "value", "culprit"),
    [
        ("address", "nonsense", "'nonsense'"),
        ("address", "unix:/tmp/x", "'unix:/tmp/x'"),
        ("cert", "/no/such.pem", "can't read /no/such.pem: No such file"),
        ("key", "/no/such.pem", "can't read /no/such.pem: No such file"),
        ("ca", "/no/such.pem", "can't read /no/such.pem: No such file"),
        ("roles", "/no/such.toml", "can't read /no/such.toml: No such file"),
        ("cert", "/dev/null", "no PEM certificate in /dev/null"),
        ("key", "/dev/null", "no PEM private key in /dev/null"),
        ("ca", "/dev/null", "no PEM certificate in /dev/null"),
        ("roles", "/dev/null", "/dev/null: no fingerprint in it"),
        ("log_level", "loud", "unknown log level 'loud'"),
        ("store", "postgres", "unknown job store 'postgres'"),
        ("log_limit", "1K", "--log-limit: '1K' is too little"),
        ("keep_finished", "some", "--keep-finished: 'some'"),
    ],
)
def test_wrong_configuration(pki: Pki, taken: str, option: str, value: str, culprit: str) -> None:
    """One line that names what is wrong, and exit code 2, before anything is bound."""
    assert culprit in _refusal(*pki.options(**{"address": taken, option: value}))


def test_wrong_arguments() -> None:
    """Arguments that make no sense are one line that points to --help."""
    assert "see worker-daemon --help" in _refusal("--no-such-option\nsecond line")


def test_wrong_variable(pki: Pki, taken: str) -> None:
    """The environment is checked as the command line is."""
    refusal = _refusal(*pki.options(address=taken), environment={"JOBWORKER_LOG_LEVEL": "loud"})
    assert "unknown log level 'loud'" in refusal


def test_foreign_key(pki: Pki, taken: str) -> None:
    """A key that is not the certificate's is found before any client fails of it."""
    assert "is not that of" in _refusal(*pki.options(address=taken, key=pki.file("full-key.pem")))


def test_a_key_that_others_can_read(pki: Pki, taken: str, tmp_path: Path) -> None:
    """It is refused, as ssh does; the public ones, which everyone has, are not."""
    key = tmp_path / "key.pem"
    key.write_text(Path(pki.file("server-key.pem")).read_text())
    key.chmod(0o644)
    assert f"{key} has the mode 0644" in _refusal(*pki.options(address=taken, key=str(key)))
    key.write_text(Path("certs/server-key.pem").read_text())
    assert "already in use" in _refusal(f"--address={taken}", f"--key={key}", code=1)


def test_a_revocation_list_that_is_none(pki: Pki, taken: str) -> None:
    """One that was asked for and can't be believed keeps the daemon from starting."""
    assert "no certificate revocation list" in _refusal(*pki.options(address=taken, crl="/dev/null"))
    assert "can't read /no/such" in _refusal(*pki.options(address=taken, crl="/no/such"))


def test_expired_certificate(pki: Pki, taken: str) -> None:
    """An expired server certificate is found before any client fails of it."""
    certificate, key = pki.client("expired")
    assert "expired at" in _refusal(*pki.options(address=taken, cert=certificate, key=key))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("FULL = [?]", "line 1, column 9"),
        ('ADMIN = ["x"]', "unknown role 'ADMIN'"),
        ('LOG = ["x"]', "LOG, entry 1: 'x'"),
    ],
)
def test_wrong_role_table(pki: Pki, taken: str, tmp_path: Path, text: str, place: str) -> None:
    """A role table is refused with its path and the place in it."""
    table = tmp_path / "roles.toml"
    table.write_text(text)
    assert f"{table}:1: " in (refusal := _refusal(*pki.options(address=taken, roles=str(table))))
    assert place in refusal


@pytest.mark.parametrize("path", ["/proc/jobs", "/dev/null"])
def test_state_directory_not_writable(pki: Pki, path: str) -> None:
    """A state directory that can't be used is wrong configuration too."""
    assert path in _refusal(*pki.options(address="127.0.0.1:0", state_dir=path))


@pytest.mark.parametrize("store", ["sqlite", "memory"])
def test_state_directory_is_made(pki: Pki, tmp_path: Path, store: str) -> None:
    """A state directory that isn't there is made, with those above it, for this user alone."""
    state_dir = tmp_path / "not" / "there"
    with new_world(pki, f"--store={store}", state_dir=state_dir):
        assert state_dir.stat().st_mode & 0o777 == 0o700


def test_default_state_directory(pki: Pki, tmp_path: Path) -> None:
    """Without --state-dir a user's daemon keeps its state below the user's home; root's is not this test's to touch."""
    if os.geteuid() == 0:
        pytest.skip("runs as root, whose daemon would take /var/lib/jobworker")
    environment = {"JOBWORKER_STATE_DIR": "", "XDG_STATE_HOME": "", "HOME": str(tmp_path)}
    with new_world(pki, environment=environment) as world:
        assert (tmp_path / ".local/state/jobworker/logs").is_dir()
        assert world.daemon.stop() == 0


@pytest.mark.parametrize("root", ["/no/such/cgroup", "/proc"])
def test_cgroup_not_usable(pki: Pki, root: str) -> None:
    """A cgroup that was asked for and can't be used is wrong configuration: none would be a weaker stop unnoticed."""
    assert f"cgroup {root}: " in _refusal(*pki.options(address="127.0.0.1:0", cgroup_root=root))


@pytest.mark.parametrize("file", ["jobs.sqlite", "logs"])
def test_state_that_is_none(pki: Pki, tmp_path: Path, file: str) -> None:
    """A state directory in which something else lies is refused, and its path said."""
    (tmp_path / file).write_text("something else")
    assert str(tmp_path) in _refusal(*pki.options(address="127.0.0.1:0", state_dir=str(tmp_path)))


def test_port_in_use(pki: Pki, taken: str) -> None:
    """A port in use is not wrong configuration, which could be mended by another: it has an exit code of its own."""
    assert f"can't listen on {taken}: Address already in use" in _refusal(*pki.options(address=taken), code=1)


def test_second_daemon_on_the_port(world: World) -> None:
    """Two daemons never share a port, each getting every other connection."""
    refusal = _refusal(*world.pki.options(address=world.daemon.address), code=1)
    assert "Address already in use" in refusal


def test_published_certificates_stay_on_loopback() -> None:
    """The certificates in certs/ serve beyond loopback only where that was asked for."""
    assert "--insecure-dev-certificates" in _refusal("--address=0.0.0.0:0")


@pytest.mark.parametrize("published", ["server", "ca", "roles"])
def test_each_published_part_counts(pki: Pki, published: str) -> None:
    """One published part among one's own files is enough to be refused."""
    others = {
        "server": {"cert": "certs/server-cert.pem", "key": "certs/server-key.pem"},
        "ca": {"ca": "certs/ca-cert.pem"},
        "roles": {"roles": "certs/roles.toml"},
    }[published]
    assert "are public" in _refusal(*pki.options(address="0.0.0.0:0", **others))


def test_published_certificates_where_asked_for(pki: Pki) -> None:
    """The flag lets them serve; the port being taken shows that binding is all that was left to do."""
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104 - nothing accepts
        address = f"0.0.0.0:{listener.getsockname()[1]}"
        assert "already in use" in _refusal(f"--address={address}", "--insecure-dev-certificates", code=1)
        assert "already in use" in _refusal(*pki.options(address=address), code=1)


@pytest.mark.parametrize(("option", "text"), [("--help", "Usage:"), ("--version", "worker-daemon ")])
def test_help_and_version(option: str, text: str) -> None:
    """--help and --version answer on stdout and end well, with whatever files there are."""
    done = run_to_its_end(option, environment={"JOBWORKER_CERT": "/no/such"})
    assert (done.returncode, done.stderr) == (0, "")
    assert text in done.stdout


def test_service_manager_is_told(pki: Pki) -> None:
    """READY=1 comes once the daemon serves, STOPPING=1 when it begins to stop, each with a word on what goes on."""
    name = f"jobworker-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        with new_world(pki, environment={"NOTIFY_SOCKET": f"@{name}"}) as world:
            ready, status = manager.recv(1000).decode().split("\n")
            assert (ready, status) == ("READY=1", f"STATUS=listening on {world.daemon.address}")
            assert world.daemon.stop() == 0
            assert manager.recv(1000) == b"STOPPING=1\nSTATUS=stopping, ending its jobs"


def test_jobs_environment(pki: Pki) -> None:
    """Jobs see nothing of the daemon's own variables, and the user's as they are."""
    secrets = {"NOTIFY_SOCKET": "@x", "LISTEN_FDS": "1", "JOBWORKER_LOG_LEVEL": "info", "SECRET": "x", "LC_ALL": "C"}
    with new_world(pki, environment=secrets) as world, world.stub() as stub:
        frames = list(follow(stub, shell(stub, "env")))
    names = {line.partition(b"=")[0].decode() for line in b"".join(f.data.data for f in frames).splitlines()}
    # sh itself adds PWD and its like.
    shells = {"PWD", "OLDPWD", "SHLVL", "_"}
    always = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "JOBWORKER_JOB_ID"}
    assert names - shells == always | ({"LANG"} & os.environ.keys())


def test_limits_on_files(pki: Pki) -> None:
    """The daemon takes all the descriptors that it may have, and its jobs get the limit that it was started with."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = 300
    script = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard})); "
    script += "os.execvp(sys.argv[1], sys.argv[1:])"
    with new_world(pki, prefix=[sys.executable, "-c", script]) as world, world.stub() as stub:
        assert read_until(follow(stub, shell(stub, "ulimit -n; sleep 100")), b"\n") == f"{soft}\n".encode()
        assert resource.prlimit(world.daemon.pid, resource.RLIMIT_NOFILE)[0] == hard
