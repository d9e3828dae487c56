"""Users as the host knows them, passwd(5) or whatever it asks: whom jobs run as, and who the daemon is itself."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.daemon.errors import ConfigurationError
from jobworker.worker import JobUser

if TYPE_CHECKING:
    from typing import Self


@final
@dataclass(frozen=True, slots=True)
class Account:
    """A user.

    Attributes:
        name: The login name.
        user: The ids, with all groups that a login would give.
        home: The home directory.
        shell: The login shell.
    """

    name: str
    user: JobUser
    home: str
    shell: str

    @classmethod
    def of(cls, entry: pwd.struct_passwd) -> Self:
        """Returns the account of an entry; its groups are asked for now, and no more later."""
        groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
        user = JobUser(entry.pw_uid, entry.pw_gid, groups)
        return cls(entry.pw_name, user, entry.pw_dir, entry.pw_shell)


def account_of(given: str) -> Account:
    """Returns the account of a user.

    Args:
        given: The login name, or else the number.

    Raises:
        ConfigurationError: If the host knows no such user; whoever configures the daemon has to mend it.
    """
    try:
        return Account.of(pwd.getpwnam(given))
    except KeyError:
        pass
    try:
        # A name of digits alone can't be told from a number; nor can -1 be a user.
        return Account.of(pwd.getpwuid(int(given) if given.isascii() and given.isdigit() else -1))
    except (KeyError, OverflowError):
        raise ConfigurationError(f"no user {given!r} on this host; give another (--run-jobs-as)") from None


def own_account() -> Account | None:
    """Returns the account that the daemon runs as; None if the host knows none, as in many a container."""
    try:
        return Account.of(pwd.getpwuid(os.geteuid()))
    except KeyError:
        return None
