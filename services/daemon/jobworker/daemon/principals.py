"""Who there is and what each may do: principals, their roles, their certificates' fingerprints; no I/O, no gRPC."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@final
class Role(enum.IntEnum):
    """What a client may do; a higher role may do all that a lower one may."""

    LOG = 1
    """List jobs and query their status. In spite of its name it may not read logs."""
    FULL = 2
    """Everything."""


@final
@dataclass(frozen=True, slots=True)
class Principal:
    """Someone who may call, with any of some certificates.

    Attributes:
        name: What people call it; the fingerprint itself for one of which the role table has no name.
        role: What it may do.
        fingerprints: Those of its certificates, lower-case hex: during a rotation the old one's and the new one's.
    """

    name: str
    role: Role
    fingerprints: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call that was let in.

    Attributes:
        principal: The principal's name.
        role: What it may do.
        fingerprint: That of the certificate that it calls with, lower-case hex.
        others: Those of the principal's other certificates.
    """

    principal: str
    role: Role
    fingerprint: str
    others: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """All that the principal is called: its jobs from before it had a name have a fingerprint in its place."""
        return frozenset((self.principal, self.fingerprint, *self.others))


@final
@dataclass(frozen=True, slots=True)
class PrincipalTable:
    """Which fingerprint belongs to whom; one that is not in it belongs to nobody.

    Attributes:
        principals: Everyone, in the order of the role table.
        by_fingerprint: Each fingerprint's principal.
    """

    principals: tuple[Principal, ...]
    by_fingerprint: Mapping[str, Principal]

    @classmethod
    def of(cls, principals: Iterable[Principal]) -> PrincipalTable:
        """Returns the table of some principals, none of whose fingerprints belongs to another one too."""
        known = tuple(principals)
        return cls(known, {fingerprint: one for one in known for fingerprint in one.fingerprints})

    def caller(self, fingerprint: str) -> Caller | None:
        """Returns who calls with a certificate's fingerprint (lower-case hex); None if nobody may."""
        principal = self.by_fingerprint.get(fingerprint)
        if principal is None:
            return None
        others = tuple(one for one in principal.fingerprints if one != fingerprint)
        return Caller(principal.name, principal.role, fingerprint, others)

    def __repr__(self) -> str:
        return f"<PrincipalTable principals={len(self.principals)} fingerprints={len(self.by_fingerprint)}>"
