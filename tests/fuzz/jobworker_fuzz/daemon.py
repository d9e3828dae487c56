"""What configures a daemon, and what is in its audit log."""

from __future__ import annotations

import io
from contextlib import redirect_stdout, suppress
from typing import TYPE_CHECKING

from jobworker.daemon.address import parse_address
from jobworker.daemon.amounts import parse_age, parse_size
from jobworker.daemon.audit_chain import Head, MalformedLineError, completes, parse_line, tail_of
from jobworker.daemon.audit_verifier import BrokenChainError, Verifier
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.options import Options, parse
from jobworker.daemon.retention import parse_keep_finished, parse_log_limit
from jobworker.daemon.role_table import parse_principals
from jobworker_fuzz.target import Target, text, words

if TYPE_CHECKING:
    from jobworker.daemon.principals import PrincipalTable

_FINGERPRINT_DIGITS = 64


def _role_table(data: bytes) -> None:
    try:
        table = parse_principals(text(data), "roles.toml")
    except ConfigurationError:
        return
    assert table.by_fingerprint
    assert parse_principals(_as_toml(table), "again").by_fingerprint == table.by_fingerprint
    for fingerprint in table.by_fingerprint:
        assert len(bytes.fromhex(fingerprint)) * 2 == _FINGERPRINT_DIGITS
        assert table.caller(fingerprint)


def _as_toml(table: PrincipalTable) -> str:
    short, named = [], []
    for one in table.principals:
        if one.fingerprints == (one.name,):
            short.append((one.role.name, one.name))
        else:
            name = "".join(f"\\U{ord(char):08x}" for char in one.name)
            named.append(
                f'[[principal]]\nname = "{name}"\nrole = "{one.role.name}"\nfingerprints = {list(one.fingerprints)}\n'
            )
    lists = [f"{role} = {[name for of, name in short if of == role]}\n" for role in ("FULL", "LOG")]
    return "".join([*lists, *named])


def _command_line(data: bytes) -> None:
    typed = words(data)
    environment = dict(word.split("=", 1) for word in typed if word.startswith("JOBWORKER_") and "=" in word)
    with redirect_stdout(io.StringIO()):
        try:
            options = parse([word for word in typed if not word.startswith("JOBWORKER_")], environment, 1000)
        except ConfigurationError:
            return
        except SystemExit:  # of --help and --version
            return
    assert isinstance(options, Options)


def _amounts(data: bytes) -> None:
    typed = data.decode(errors="surrogateescape")
    with suppress(ValueError):
        size = parse_size(typed)
        assert parse_size(str(size)) == size < 1 << 63
    with suppress(ValueError):
        age = parse_age(typed)
        assert parse_age(f"{age // (age.resolution * 10**6)}s") == age
    with suppress(ConfigurationError):
        assert parse_log_limit(typed) >= 0
    with suppress(ConfigurationError):
        assert parse_keep_finished(typed) == parse_keep_finished(typed.upper())
    with suppress(ConfigurationError):
        host, port = parse_address(typed)
        assert parse_address(f"[{host}]:{port}" if ":" in host else f"{host}:{port}") == (host, port)


def _audit_log(data: bytes) -> None:
    verifier = Verifier()
    lines = data.splitlines(keepends=True)
    with suppress(BrokenChainError):
        for number, raw in enumerate(lines, start=1):
            verifier.add(f"audit.log:{number}", raw)
        assert verifier.report().lines <= len(lines)
    with suppress(MalformedLineError):
        line = parse_line(data)
        others = {name: line.fields[name] for name in list(line.fields)[4:]}
        raw, head = Head(line.seq - 1, line.prev).next_line(str(line.fields["time"]), line.event, others)
        assert parse_line(raw) == line
        assert head.seq == line.seq
    tail = tail_of(data)
    assert tail is None or data.endswith(tail.torn)
    if tail and completes(tail):
        parse_line(tail.torn + b"\n")


TARGETS = (
    Target("role_table", _role_table),
    Target("command_line", _command_line),
    Target("amounts", _amounts),
    Target("audit_log", _audit_log),
)
"""The targets of the daemon."""
