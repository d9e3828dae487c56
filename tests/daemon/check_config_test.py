"""`worker-daemon check-config`: who may do what, or all that is wrong."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from daemon_world import new_world, run_to_its_end
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


def test_whom_jobs_run_as(pki: Pki) -> None:
    """With the ids that they will have, since a name may stand for somebody else on another host; one must exist."""
    entry = pwd.getpwuid(os.geteuid())
    groups = ", ".join(map(str, os.getgrouplist(entry.pw_name, entry.pw_gid)))
    chosen = f"{entry.pw_name}, user {entry.pw_uid}, group {entry.pw_gid}, groups {groups}"
    for options, user in (
        ((), "the daemon's own user"),
        ((f"--run-jobs-as={entry.pw_name}",), chosen),
        ((f"--run-jobs-as={entry.pw_uid}",), chosen),
    ):
        done = run_to_its_end("check-config", *pki.options(address="127.0.0.1:0"), *options)
        assert f"jobs run as: {user}" in done.stdout.splitlines()
    done = run_to_its_end("check-config", *pki.options(), "--run-jobs-as=no-such-user")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("worker-daemon: no user 'no-such-user' on this host")


def test_where_calls_are_audited(pki: Pki, tmp_path: Path) -> None:
    """The log is looked at and left as it is, whether it is there or not, and though a daemon writes it."""
    log = tmp_path / "audit.log"
    options = [*pki.options(address="127.0.0.1:0"), f"--audit-log={log}"]
    assert "audit log: none" in run_to_its_end("check-config", *pki.options()).stdout.splitlines()
    done = run_to_its_end("check-config", *options)
    assert (done.returncode, done.stdout.splitlines()[-1], log.exists()) == (0, f"audit log: {log}", False)
    with new_world(pki, f"--audit-log={log}"):
        before = log.read_bytes(), log.stat().st_mtime_ns
        done = run_to_its_end("check-config", *options, "--audit-redact-arguments")
        said = f"audit log: {log}, without the arguments of commands"
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, said)
        assert (log.read_bytes(), log.stat().st_mtime_ns) == before


def test_an_audit_log_that_can_not_be_used(pki: Pki, tmp_path: Path) -> None:
    """It is told as the daemon tells it when it gives up for it, and together with all else that is wrong."""
    (tmp_path / "file").touch(0o600)
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "open").write_bytes(b"")
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "other").touch(0o600)
    (tmp_path / "other").write_bytes(b"dear diary\n")
    for name, wrong in {
        "none/audit.log": "No such file or directory (--audit-log)",
        "file/audit.log": "Not a directory (--audit-log)",
        "link": "Too many levels of symbolic links (--audit-log)",
        ".": "Is a directory (--audit-log)",
        "open": "has mode 0644; others may use it",
        "other": "is no audit log",
    }.items():
        options = [*pki.options(address="127.0.0.1:0"), f"--audit-log={tmp_path / name}"]
        checked, served = (run_to_its_end(*command, *options) for command in (("check-config",), ()))
        assert (checked.returncode, checked.stdout, checked.stderr) == (2, "", served.stderr)
        assert wrong in checked.stderr
        both = run_to_its_end("check-config", *options, "--run-jobs-as=no-such-user")
        assert both.stderr.splitlines()[1:] == checked.stderr.splitlines()
