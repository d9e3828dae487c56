"""Attacks a daemon of its own on loopback in all the ways that the tests do, and prints how a good client fares.

Usage:
  hostile [--quick]
  hostile -h | --help

Options:
  -h --help  Show this screen.
  --quick    Shorter attacks: a look whether everything runs; the figures mean little.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import docopt

from devcerts import Authority, KeyType, Usage
from jobworker_bench import hostile
from jobworker_bench.report import table
from jobworker_testing import daemon_options, logging_daemon

_ROOT = Path(__file__).absolute().parents[1]


def _make_certificates(folder: Path) -> None:
    """Makes a daemon's, a client's with a role, and a stranger's without one."""
    ca = Authority("hostile bench CA", key_type=KeyType.EC_P256)
    names = ["localhost", "127.0.0.1"]
    ca.issue("server", alternative_names=names, usages=[Usage.SERVER], key_type=KeyType.EC_P256).write(folder, "server")
    for name in ("client", "stranger"):
        issued = ca.issue(name, key_type=KeyType.EC_P256)
        issued.write(folder, name)
        if name == "client":
            (folder / "roles.toml").write_text(f'FULL = ["{issued.fingerprint}"]\n')
    (folder / "ca-cert.pem").write_bytes(ca.cert_pem)


def main() -> None:
    """Runs the attacks as the usage says."""
    options = docopt.docopt(__doc__ or "")
    with tempfile.TemporaryDirectory(prefix="jobworker-hostile-") as scratch:
        certs, state = Path(scratch, "certs"), Path(scratch, "state")
        certs.mkdir()
        state.mkdir(mode=0o700)
        _make_certificates(certs)
        program = [os.environ.get("WORKER_DAEMON") or str(_ROOT / "services/daemon/worker-daemon")]
        with logging_daemon(program, *daemon_options(certs), state_dir=state) as (address, pid):
            watch = hostile.Watch(address, certs, pid, state / "log")
            print(table(hostile.measure(watch, 1.0 if options["--quick"] else 10.0)))


if __name__ == "__main__":
    main()
