"""`worker-daemon check-config`: who may do what, or all that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon_world import run_to_its_end
from identity_world import LivePki

if TYPE_CHECKING:
    from pathlib import Path

    from daemon_world import Pki


def test_who_may_do_what(pki: Pki, tmp_path: Path) -> None:
    """Each principal is told with its role and its certificates, and nothing is served."""
    roles = tmp_path / "roles.toml"
    full, log, both = (pki.fingerprints[name] for name in ("full", "log", "both"))
    roles.write_text(
        f'LOG = ["{log}"]\n[[principal]]\nname = "Zoë"\nrole = "FULL"\nfingerprints = ["{full}", "{both}"]\n'
    )
    done = run_to_its_end("check-config", *pki.options(roles=str(roles), address="127.0.0.1:0"))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    start = lines.index("principals:")
    assert lines[start + 1 : start + 6] == [
        "  (no name): LOG",
        f"    {log}",
        "  Zoë: FULL",
        f"    {full}",
        f"    {both}",
    ]


def test_who_is_shown_what(pki: Pki) -> None:
    """That owners are isolated is told, as it changes what every role means."""
    said = [
        run_to_its_end("check-config", *pki.options(address="127.0.0.1:0"), *flag).stdout
        for flag in ((), ("--isolate-owners",))
    ]
    assert ["shown its own jobs alone" in text for text in said] == [False, True]


def test_all_mistakes_of_a_role_table(pki: Pki, tmp_path: Path) -> None:
    """Each mistake is a line with the file and the line in it, and the exit code is that of wrong configuration."""
    roles = tmp_path / "roles.toml"
    roles.write_text('FULL = [\n"zz"]\nADMIN = []\n')
    done = run_to_its_end("check-config", *pki.options(roles=str(roles)))
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first.startswith(f"worker-daemon: {roles}:2: FULL, entry 1: 'zz'")
    assert second.startswith(f"worker-daemon: {roles}:3: unknown role 'ADMIN'")


def test_certificates(pki: Pki, tmp_path: Path) -> None:
    """The server's certificate and the CA are told with their ends, and so are revocation lists."""
    done = run_to_its_end("check-config", *pki.options())
    server, ca, lists = done.stdout.splitlines()[1:4]
    assert server.startswith("server certificate: 'CN=server', expires 20")
    assert ca.startswith("CA: 'CN=test CA', expires 20")
    assert lists == "CRL: none"
    live = LivePki.make(tmp_path / "live")
    live.revoke("log")
    done = run_to_its_end("check-config", *live.pki.options(crl=str(live.folder / "crl.pem")))
    assert "\nCRL: of 'CN=test CA', 1 revoked, expires 20" in done.stdout


def test_mistakes_in_several_files(tmp_path: Path) -> None:
    """All are told, whichever files they are in."""
    live = LivePki.make(tmp_path / "live")
    (live.folder / "server-key.pem").chmod(0o644)
    live.replace("roles.toml", b"LOG = 1")
    live.replace("crl.pem", b"x")
    done = run_to_its_end("check-config", *live.pki.options(crl=str(live.folder / "crl.pem"), address="nonsense"))
    address, key, roles = done.stderr.splitlines()
    assert "'nonsense'" in address
    assert "server-key.pem has the mode 0644" in key
    assert "roles.toml:1: LOG is not a list" in roles
    (live.folder / "server-key.pem").chmod(0o600)
    roles, crl = run_to_its_end("check-config", *live.pki.options(crl=str(live.folder / "crl.pem"))).stderr.splitlines()
    assert "roles.toml:1: LOG is not a list" in roles
    assert "crl.pem: no certificate revocation list" in crl


def test_wrong_option() -> None:
    """An option that can't be is told as the daemon itself tells it."""
    done = run_to_its_end("check-config", "--log-level=loud")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("worker-daemon: unknown log level 'loud'")
