"""Certificate, key, CA, role table and revocation list change while the daemon serves."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import grpc
import pytest
from cryptography.hazmat.primitives import serialization

from daemon_world import follow, read_until, reason_of, shell
from devcerts import Authority, KeyType
from identity_world import LivePki, crl, der, pem, serving, shown_certificate, wait_for_event
from jobworker.v1 import job_worker_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from daemon_world import World
    from jobworker.v1 import job_worker_pb2_grpc as rpc

_DENIED = (grpc.StatusCode.PERMISSION_DENIED, "ACCESS_DENIED")


@pytest.fixture
def live(tmp_path: Path) -> LivePki:
    """The files of one daemon."""
    return LivePki.make(tmp_path / "files")


@pytest.fixture
def world(live: LivePki) -> Iterator[World]:
    """A daemon on these files."""
    with serving(live) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LivePki, World]]:
    """A daemon that tests share which leave its files as they were, and these files."""
    files = LivePki.make(tmp_path_factory.mktemp("shared") / "files")
    with serving(files) as made:
        yield files, made


@pytest.fixture
def restored(shared: tuple[LivePki, World]) -> Iterator[dict[str, bytes]]:
    """What the shared files hold, which they hold again after the test."""
    files, _ = shared
    before = {path.name: path.read_bytes() for path in files.folder.iterdir()}
    yield before
    for name in ("server-key.pem", "server-cert.pem", "ca-cert.pem", "roles.toml", "crl.pem"):
        files.replace(name, before[name])


def _list(stub: rpc.JobWorkerServiceStub) -> pb.ListJobsResponse:
    return stub.ListJobs(pb.ListJobsRequest())


def test_role_table_by_rename(world: World, live: LivePki) -> None:
    """Who is added to the role table may call from then on, on a connection that was there before."""
    with world.stub("stranger") as stranger:
        assert reason_of(lambda: _list(stranger)) == _DENIED
        live.grant(full=["full", "stranger"])
        assert "generation=2" in wait_for_event(world, "reloaded", changed="roles")
        _list(stranger)


def test_role_table_written_in_place(world: World, live: LivePki) -> None:
    """A file that is written to is read once whoever wrote it has closed it."""
    table = live.folder / "roles.toml"
    with table.open("a") as file, world.stub("stranger") as stranger:
        file.write(
            f'\n[[principal]]\nname = "guest"\nrole = "LOG"\nfingerprints = ["{world.pki.fingerprints["stranger"]}"]'
        )
        file.close()
        wait_for_event(world, "reloaded", changed="roles")
        _list(stranger)
    assert "principal=guest" in world.call_line("ListJobs")


def test_hangup(world: World) -> None:
    """SIGHUP has the files read again and the counters logged, and says so even if nothing has changed."""
    world.daemon.signal(signal.SIGHUP)
    wait_for_event(world, "counters")
    wait_for_event(world, "reloaded", changed="nothing")


def test_links_as_kubernetes_swaps_them(live: LivePki, tmp_path: Path) -> None:
    """A directory of links through one link, which is replaced by a rename, changes all files in one step."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    (mounted / "..1").symlink_to(live.folder)
    (mounted / "..data").symlink_to("..1")
    names = {"cert": "server-cert.pem", "key": "server-key.pem", "ca": "ca-cert.pem", "roles": "roles.toml"}
    for name in (*names.values(), "crl.pem"):
        (mounted / name).symlink_to(f"..data/{name}")
    other = LivePki.make(tmp_path / "other")
    paths = {option: str(mounted / name) for option, name in {**names, "crl": "crl.pem"}.items()}
    with serving(live, **paths) as world, world.stub() as stub:
        _list(stub)
        (mounted / "..2").symlink_to(other.folder)
        (mounted / "..data_tmp").symlink_to("..2")
        (mounted / "..data_tmp").rename(mounted / "..data")
        wait_for_event(world, "reloaded", changed='"cert,key,ca,roles,crl"')
        assert reason_of(lambda: _list(stub)) == _DENIED
        # What the link led to before is not watched any more, and what it leads to now is.
        other.clients["full"] = live.clients["full"]
        other.grant(full=["stranger", "full"])
        wait_for_event(world, "reloaded", changed="roles")


def test_directory_by_rename(world: World, live: LivePki, tmp_path: Path) -> None:
    """A directory that is put in the place of another one is noticed as well, after a moment without any."""
    other = LivePki.make(tmp_path / "other")
    live.folder.rename(tmp_path / "old")
    wait_for_event(world, "reload_failed")
    other.folder.rename(live.folder)
    wait_for_event(world, "reloaded")
    with world.stub() as stub:
        _list(stub)


def test_server_certificate_rotates(world: World, live: LivePki) -> None:
    """New connections are shown the new certificate, and a follow on an old connection goes on."""
    with world.stub() as stub:
        frames = follow(stub, shell(stub, "echo one; read line; exec sleep 1000"))
        read_until(frames, b"one")
        before = shown_certificate(world)
        server = live.serve_as("server 2")
        wait_for_event(world, "reloaded")
        shown = shown_certificate(world)
        assert shown == server.certificate.public_bytes(serialization.Encoding.DER) != before
        job_id = shell(stub, "echo more")
        read_until(follow(stub, job_id), b"more")
        frames.cancel()
    with world.stub() as stub:
        _list(stub)


def test_ca_that_left_the_file(world: World, live: LivePki) -> None:
    """A certificate of a CA that is not trusted any more may not call, on a connection that was there before."""
    with world.stub() as stub:
        _list(stub)
        other = Authority("test CA 2", key_type=KeyType.EC_P256)
        live.replace("ca-cert.pem", live.authority.cert_pem + other.cert_pem)
        wait_for_event(world, "reloaded", changed="ca")
        _list(stub)
        live.replace("crl.pem", pem(crl(other)))
        wait_for_event(world, "reloaded", changed="crl")
        live.replace("ca-cert.pem", other.cert_pem)
        wait_for_event(world, "reloaded", changed="ca")
        assert reason_of(lambda: _list(stub)) == _DENIED
    with world.stub() as stub, pytest.raises(grpc.RpcError) as caught:
        _list(stub)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("encode", [pem, der])
def test_revocation_list(world: World, live: LivePki, encode: Callable[..., bytes]) -> None:
    """A revoked certificate may not call, and is told no more than a stranger; another one still may."""
    with world.stub() as revoked, world.stub("log") as other:
        _list(revoked)
        live.replace("crl.pem", encode(crl(live.authority, [live.clients["full"]])))
        wait_for_event(world, "reloaded", changed="crl")
        assert reason_of(lambda: _list(revoked)) == _DENIED
        _list(other)


def _break_table(live: LivePki) -> str:
    live.replace("roles.toml", b'FULL = []\nLOG = [\n"zz"]')
    return "roles.toml:3: LOG, entry 1: 'zz'"


def _break_certificate(live: LivePki) -> str:
    live.replace("server-cert.pem", b"hello")
    return "no PEM certificate in .*server-cert.pem"


def _break_key(live: LivePki) -> str:
    live.replace("server-key.pem", live.clients["full"].key_pem)
    return "server-key.pem is not that of .*server-cert.pem"


def _break_ca(live: LivePki) -> str:
    live.replace("ca-cert.pem", b"")
    return "no PEM certificate in .*ca-cert.pem"


def _break_crl(live: LivePki) -> str:
    live.replace("crl.pem", pem(crl(live.authority, days=(-2, -1))))
    return "crl.pem:1: expired at"


def _remove_table(live: LivePki) -> str:
    (live.folder / "roles.toml").unlink()
    return "can't read .*roles.toml: No such file"


def _expose_key(live: LivePki) -> str:
    (live.folder / "server-key.pem").chmod(0o640)
    return "server-key.pem has the mode 0640"


@pytest.mark.parametrize(
    "break_one",
    [_break_table, _break_certificate, _break_key, _break_ca, _break_crl, _remove_table, _expose_key],
)
def test_broken_files_change_nothing(
    shared: tuple[LivePki, World], break_one: Callable[[LivePki], str], restored: dict[str, bytes]
) -> None:
    """What is in force goes on, one line says what is wrong, and a counter counts it."""
    live, world = shared
    with world.stub() as before:
        _list(before)
        problem = break_one(live)
        wait_for_event(world, "reload_failed", error=f'"[^"]*{problem}.*')
        _list(before)
    # What the client itself needs of it.
    live.replace("ca-cert.pem", restored["ca-cert.pem"])
    with world.stub() as after:
        _list(after)
    world.daemon.signal(signal.SIGHUP)
    assert "jobworker_reloads_total.result.failed=" in wait_for_event(world, "counters")


def test_a_broken_file_is_told_of_once(world: World, live: LivePki) -> None:
    """However often it is touched; and the next good one is taken."""
    _break_table(live)
    wait_for_event(world, "reload_failed")
    for _ in range(3):
        os.utime(live.folder / "roles.toml")
        _break_table(live)
    live.grant(full=["full"])
    wait_for_event(world, "reloaded", changed="roles")
    assert sum("event=reload_failed" in line for line in world.daemon.lines) == 1
