"""Who has which role: the role table's format and look-up; no I/O, no gRPC."""

from __future__ import annotations

import enum
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.daemon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PREFIX = re.compile(r"\s*sha-?256\s+fingerprint\s*=\s*", re.IGNORECASE)
_PLAIN = re.compile(r"[0-9a-f]{64}")
_COLONS = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){31}")
_HOW = "give what `openssl x509 -in CERT -noout -fingerprint -sha256` prints, or its 64 hexadecimal digits"


@final
class Role(enum.IntEnum):
    """What a client may do; a higher role may do all that a lower one may."""

    LOG = 1
    """List jobs and query their status. In spite of its name it may not read logs."""
    FULL = 2
    """Everything."""


@final
@dataclass(frozen=True, slots=True)
class RoleTable:
    """Which fingerprint has which role; a fingerprint that is not in it has none."""

    roles: Mapping[str, Role]

    def role_of(self, fingerprint: str) -> Role | None:
        """Returns the role of a certificate's fingerprint (lower-case hex); None if it has none."""
        return self.roles.get(fingerprint)

    def __repr__(self) -> str:
        return f"<RoleTable fingerprints={len(self.roles)}>"


def parse_roles(text: str) -> RoleTable:
    """Returns the role table that a TOML text holds: `FULL = ["…"]` and `LOG = ["…"]`.

    A fingerprint in both lists has the role FULL.

    Raises:
        ConfigurationError: If the text is not such a table, or grants nothing to anyone; the message says where.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f'not TOML: {error}; write FULL = ["…"] and LOG = ["…"]') from None
    roles: dict[str, Role] = {}
    for role, fingerprint in _entries(document):
        roles[fingerprint] = max(role, roles.get(fingerprint, role))
    if not roles:
        raise ConfigurationError('no fingerprint in it, so no one could call; add one, such as FULL = ["AB:CD:…"]')
    return RoleTable(roles)


def _entries(document: Mapping[str, object]) -> Iterator[tuple[Role, str]]:
    for name, fingerprints in document.items():
        if name not in Role.__members__:
            raise ConfigurationError(f"unknown role {name!r}; the roles are FULL and LOG")
        if not isinstance(fingerprints, list):
            raise ConfigurationError(f'{name} is not a list; write {name} = ["…"]')
        for number, fingerprint in enumerate(fingerprints, start=1):
            yield Role[name], _normalized(fingerprint, f"{name}, entry {number}")


def _normalized(fingerprint: object, place: str) -> str:
    if not isinstance(fingerprint, str):
        raise ConfigurationError(f"{place}: {fingerprint!r} is not a string; {_HOW}")
    text = _PREFIX.sub("", fingerprint, count=1).strip().lower()
    if not _PLAIN.fullmatch(text) and not _COLONS.fullmatch(text):
        raise ConfigurationError(f"{place}: {fingerprint[:100]!r} is no SHA-256 fingerprint; {_HOW}")
    return text.replace(":", "")
