"""What the clients meet: real daemons, and certificates of every kind."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, final

from devcerts import Authority, KeyType, Usage, Validity
from jobworker.worker import Exited, Job
from jobworker.worker.sqlite_store import SqliteJobStore
from jobworker.worker.state_dir import StateDirectory
from jobworker_testing import DaemonProcess, daemon_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_EC = KeyType.EC_P256
_MANY = 2500
_ODD = ["", " ", "ünïcödé", "日本語", "🚀", "a\nb", "'\"\\$x*", "--", "-n"]


@final
@dataclass(frozen=True, slots=True)
class World:
    """Daemons that run, and the files to call them with.

    Attributes:
        addresses: Each daemon's address, by its name in the scenarios.
        certificates: Folder of the certificates.
        known: What stands for `<…>` in the scenarios.
    """

    addresses: Mapping[str, str]
    certificates: Path
    known: Mapping[str, str]

    def files(self, identity: str) -> dict[str, str]:
        """Returns the paths that the driver is given for an identity."""
        names = {} if identity == "none" else {"cert": f"{identity}-cert.pem", "key": f"{identity}-key.pem"}
        files = {"ca": "ca-cert.pem", **names}
        return {"cert": "", "key": "", **{key: str(self.certificates / name) for key, name in files.items()}}


@contextmanager
def running(program: Path, folder: Path) -> Iterator[World]:
    """Makes certificates in a folder, and runs the daemons with their state in it."""
    fingerprint = _make_certificates(folder)
    (folder / "many").mkdir(mode=0o700)
    ids = asyncio.run(_fill(folder / "many", _MANY))
    more = {"main": [], "many": ["--keep-finished=all"], "tight": ["--max-jobs=1"]}
    with ExitStack() as stack:
        addresses = {}
        for name, options in more.items():
            state = folder / name
            state.mkdir(mode=0o700, exist_ok=True)
            daemon = DaemonProcess(
                [str(program)], *daemon_options(folder), "--log-level=warning", *options, state_dir=state
            )
            addresses[name] = stack.enter_context(daemon).address
        yield World(addresses, folder, _known(ids, fingerprint))


def _make_certificates(folder: Path) -> str:
    """Makes them, and returns the fingerprint of the one with role FULL."""
    ca, other = Authority("conformance CA", key_type=_EC), Authority("another CA", key_type=_EC)
    names = ["localhost", "127.0.0.1", "::1"]
    ca.issue("server", alternative_names=names, usages=[Usage.SERVER], key_type=_EC).write(folder, "server")
    clients = {name: ca.issue(name, key_type=_EC) for name in ("full", "log", "unknown")}
    clients["expired"] = ca.issue("expired", key_type=_EC, validity=Validity.days(-2, -1))
    clients["foreign"] = other.issue("foreign", key_type=_EC)
    for name, client in clients.items():
        client.write(folder, name)
    (folder / "ca-cert.pem").write_bytes(ca.cert_pem)
    full = [clients[name].fingerprint for name in ("full", "expired", "foreign")]
    (folder / "roles.toml").write_text(f"FULL = {full}\nLOG = {[clients['log'].fingerprint]}\n")
    return clients["full"].fingerprint


async def _fill(state: Path, count: int) -> list[str]:
    """Puts finished jobs into a new state directory, and returns their ids, newest first."""
    start = datetime.now(UTC) - timedelta(days=1)
    ids = [str(uuid.uuid4()) for _ in range(count)]
    async with SqliteJobStore(StateDirectory(state).store) as store:
        for number, job_id in enumerate(ids):
            at = start + timedelta(seconds=number)
            await store.add(Job(job_id, ("true",), at, "f" * 64).ended(Exited(0), at))
    return ids[::-1]


def _known(ids: list[str], fingerprint: str) -> dict[str, str]:
    line = b"0123456789abcdef\n"
    outputs = {
        "out": b"out\n",
        "error": b"error\n",
        "all bytes": bytes(range(256)),
        "64 MiB": (line * (64 * 1024 * 1024 // len(line) + 1))[: 64 << 20],
        "8 MiB": (line * (8 * 1024 * 1024 // len(line) + 1))[: 8 << 20],
        "odd arguments": "".join(f"{argument}|" for argument in _ODD).encode(),
        "the ids": "\n".join(ids).encode(),
    }
    known = {f"<sha256 of {name}>": hashlib.sha256(output).hexdigest() for name, output in outputs.items()}
    # More jobs than there are digits, so some two begin with this one.
    return {**known, "<fingerprint>": fingerprint, "<ambiguous>": ids[0][:1]}
