"""Reads the files that say who the daemon is and whom it lets in; what is in them is for others to judge."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.problems import Problems

if TYPE_CHECKING:
    from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# A file of root's may be lent to the group that the daemon runs as: it has no other way to its key. systemd's
# LoadCredential shows as such a one, too.
_MORE_THAN_LENT = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO


@final
@dataclass(frozen=True, slots=True)
class IdentityFiles:
    """Where the five are.

    Attributes:
        cert: The server's certificate or chain.
        key: The server's key.
        ca: The certificates of the CAs that vouch for clients.
        roles: The role table.
        crl: The certificate revocation lists; None if there are none.
    """

    cert: Path
    key: Path
    ca: Path
    roles: Path
    crl: Path | None

    def paths(self) -> dict[str, Path]:
        """Returns each file's path by the name of its option, without the dashes."""
        paths = {"cert": self.cert, "key": self.key, "ca": self.ca, "roles": self.roles}
        return paths if self.crl is None else {**paths, "crl": self.crl}


@final
@dataclass(frozen=True, slots=True, repr=False)
class Contents:
    """What the files held when they were read.

    Attributes:
        files: Each file's bytes by the name of its option.
        key_exposure: Why the key's file is not private; empty if it is.
    """

    files: dict[str, bytes]
    key_exposure: str

    def __repr__(self) -> str:
        # Never the key.
        return f"<Contents files={len(self.files)}>"

    def changes(self, before: Contents | None) -> list[str]:
        """Returns the names of the options whose files differ from what they were; all, if there is no before."""
        return [name for name, content in self.files.items() if before is None or content != before.files.get(name)]


def read_files(files: IdentityFiles, uid: int, before: Contents | None = None) -> Contents:
    """Returns what the files hold now.

    Args:
        files: Where they are.
        uid: The id of the user that the daemon runs as.
        before: What they held before, which still holds for what can be read but once, such as a pipe.

    Raises:
        ConfigurationError: If any can't be read; whoever configures the daemon has to mend it.
    """
    problems = Problems()
    found: dict[str, bytes] = {}
    exposure = ""
    for name, path in files.paths().items():
        read = problems.of(_read, path, name, before.files.get(name) if before else None)
        if read is not None:
            found[name], status = read
            if name == "key":
                exposure = exposure_of(stat.S_IMODE(status.st_mode), status.st_uid, uid)
    if problems:
        raise problems.error()
    return Contents(found, exposure)


def exposure_of(mode: int, owner: int, uid: int) -> str:
    """Returns why a key's file is not private enough; empty if it is.

    Args:
        mode: The file's permission bits.
        owner: The id of the user that it belongs to.
        uid: The id of the user that the daemon runs as.
    """
    if owner not in (uid, 0):
        return f"belongs to user {owner}, who could read and change it; chown it to user {uid}"
    if mode & (_OTHERS if owner == uid else _MORE_THAN_LENT):
        return f"has the mode {mode:04o}, so others than its owner can get at it; chmod it to 0600"
    return ""


def _read(path: Path, option: str, before: bytes | None) -> tuple[bytes, os.stat_result]:
    try:
        # What was read before and is no file, such as a pipe, must not be waited for now.
        again = before is not None
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | (os.O_NONBLOCK if again else 0)), "rb") as file:  # noqa: PTH123
            status = os.fstat(file.fileno())
            if before is not None and not stat.S_ISREG(status.st_mode):
                return before, status
            return file.read(), status
    except OSError as error:
        raise ConfigurationError(f"can't read {path}: {error.strerror}; give another --{option}") from None
