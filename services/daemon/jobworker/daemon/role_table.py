"""The role table's format: TOML, in which each mistake is told with its line; no I/O."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, final

from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.principals import Principal, PrincipalTable, Role
from jobworker.daemon.toml_places import START, Places

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = re.compile(r"sha-?256\s+fingerprint\s*=\s*", re.IGNORECASE)
_PLAIN = re.compile(r"[0-9a-f]{64}")
_COLONS = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){31}")
_HOW = "give what `openssl x509 -in CERT -noout -fingerprint -sha256` prints, or its 64 hexadecimal digits"
_SYNTAX_LINE = re.compile(r"\(at line (\d+), column \d+\)")

_PRINCIPAL = "principal"
_KEYS = ("name", "role", "fingerprints")
_ROLES = " and ".join(sorted(Role.__members__))
_MAX_NAME = 64
# Of what somebody wrote, in a message.
_MAX_QUOTED = 100


def parse_principals(text: str, file: str) -> PrincipalTable:
    """Returns who may do what, as a TOML text says.

    The short form is `FULL = ["…"]` and `LOG = ["…"]`, where each fingerprint is a principal of its own, named by
    itself; one in both lists has the role FULL. The long form gives people names, and several certificates:
    `[[principal]]` with `name = "ci"`, `role = "FULL"` and `fingerprints = ["…", "…"]`.

    Args:
        text: The text.
        file: What to call it in messages.

    Raises:
        ConfigurationError: If the text is not such a table, or grants nothing to anyone; it has every mistake with its
            line. Whoever configures the daemon has to mend it.
    """
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise ConfigurationError(f"{file}: lists within lists, too deep to be read; a role table has none") from None
    except ValueError as error:
        # Also of a number with too many digits, which tomllib leaves to Python to refuse.
        found = _SYNTAX_LINE.search(str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise ConfigurationError(
            f'{file}:{line}: not TOML: {error}; write FULL = ["…"] and LOG = ["…"], or [[principal]] tables'
        ) from None
    reader = _Reader(Places(text), file)
    table = reader.read(document)
    if reader.problems:
        raise ConfigurationError(*reader.problems)
    if not table.by_fingerprint:
        raise ConfigurationError(
            f'{file}: no fingerprint in it, so no one could call; add one, such as FULL = ["AB:CD:…"]'
        )
    return table


@final
class _Reader:
    """Makes principals of one document, and gathers what is wrong with it."""

    def __init__(self, places: Places, file: str) -> None:
        self.problems: list[str] = []
        self._places = places
        self._file = file
        self._owners: dict[str, str] = {}
        self._names: dict[str, int] = {}

    def read(self, document: Mapping[str, object]) -> PrincipalTable:
        short: dict[str, Role] = {}
        named: list[Principal] = []
        for key, value in document.items():
            place = self._places.next(START, key)
            if key in Role.__members__:
                for fingerprint in self._fingerprints(value, place, key, owner=""):
                    short[fingerprint] = max(Role[key], short.get(fingerprint, Role[key]))
            elif key == _PRINCIPAL:
                named = self._named(value)
            else:
                self._add(
                    place, f"unknown role {_quoted(key)}; the roles are {_ROLES}, and names go into [[principal]]"
                )
        nameless = (Principal(fingerprint, role, (fingerprint,)) for fingerprint, role in short.items())
        return PrincipalTable.of([*nameless, *named])

    def _named(self, value: object) -> list[Principal]:
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self._add(self._places.table(_PRINCIPAL, 1), "principal is not a list of tables; write [[principal]]")
            return []
        made = (self._principal(fields, number) for number, fields in enumerate(value, start=1))
        return [one for one in made if one is not None]

    def _principal(self, fields: Mapping[str, object], number: int) -> Principal | None:
        start = self._places.table(_PRINCIPAL, number)
        for key in fields.keys() - set(_KEYS):
            self._add(self._places.next(start, key), f"unknown key {_quoted(key)}; a principal has {', '.join(_KEYS)}")
        missing = [key for key in _KEYS if key not in fields]
        if missing:
            self._add(start, f"principal {number} has no {' and no '.join(missing)}")
            return None
        name = self._name(fields["name"], self._places.next(start, "name"))
        role = self._role(fields["role"], self._places.next(start, "role"))
        owner = name or f"principal {number}"
        place = self._places.next(start, "fingerprints")
        fingerprints = self._fingerprints(fields["fingerprints"], place, f"{owner}, fingerprints", owner)
        return Principal(name, role, tuple(fingerprints)) if name and role else None

    def _name(self, name: object, place: int) -> str | None:
        if not isinstance(name, str) or not name.isprintable() or name != name.strip():
            self._add(place, f"the name {_quoted(name)} is not a string of printable characters without spaces around")
        elif not 0 < len(name) <= _MAX_NAME:
            self._add(place, f"the name {_quoted(name)} has {len(name)} characters; give one to {_MAX_NAME}")
        elif _PLAIN.fullmatch(name.lower()):
            self._add(place, f"the name {name} looks like a fingerprint, which names a principal of the short form")
        elif name in self._names:
            first = self._places.line(self._names[name])
            self._add(
                place, f"the name {_quoted(name)} is taken (line {first}); one principal has all its fingerprints"
            )
        else:
            self._names[name] = place
            return name
        return None

    def _role(self, role: object, place: int) -> Role | None:
        if isinstance(role, str) and role in Role.__members__:
            return Role[role]
        self._add(place, f"unknown role {_quoted(role)}; the roles are {_ROLES}")
        return None

    def _fingerprints(self, value: object, place: int, what: str, owner: str) -> list[str]:
        """Returns the good ones of a list; `owner` is empty for those that name themselves."""
        if not isinstance(value, list):
            self._add(place, f'{what} is not a list; write {what.rpartition(" ")[2]} = ["…"]')
            return []
        good: dict[str, None] = {}
        for number, written in enumerate(value, start=1):
            place = self._places.next(place, written if isinstance(written, str) else _quoted(written))
            fingerprint = _normalized(written)
            if fingerprint is None:
                self._add(place, f"{what}, entry {number}: {_quoted(written)} is no SHA-256 fingerprint; {_HOW}")
            elif self._owners.setdefault(fingerprint, owner) != owner:
                other = self._owners[fingerprint] or "a principal without a name"
                self._add(
                    place, f"{what}, entry {number}: {_quoted(written)} is that of {other} too; it belongs to one"
                )
            else:
                good[fingerprint] = None
        return list(good)

    def _add(self, place: int, problem: str) -> None:
        self.problems.append(f"{self._file}:{self._places.line(place)}: {problem}")


def _normalized(written: object) -> str | None:
    if not isinstance(written, str):
        return None
    text = written.strip().lower()
    # At the beginning alone: looked for everywhere, it takes forever in a long string of spaces.
    text = text[found.end() :] if (found := _PREFIX.match(text)) else text
    if not _PLAIN.fullmatch(text) and not _COLONS.fullmatch(text):
        return None
    return text.replace(":", "")


def _quoted(written: object) -> str:
    try:
        return repr(written)[:_MAX_QUOTED]
    except (ValueError, RecursionError):
        # A number with too many digits, or lists within lists.
        return f"something of the type {type(written).__name__}"
