"""What jobs find in their environment."""

from __future__ import annotations

import os
import pwd

import pytest

from jobworker.daemon.accounts import Account, account_of, own_account
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.job_environment import job_environment
from jobworker.worker import JobUser

_INHERITED = {"PATH": "/bin", "HOME": "/h", "USER": "u", "LOGNAME": "u", "SHELL": "/bin/zsh", "LANG": "C"}
_WITHHELD = [
    "GRPC_VERBOSITY", "GRPC_SSL_CIPHER_SUITES", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
    "PYTHONPATH", "PYTHONSAFEPATH", "JOBWORKER_KEY", "RUNFILES_DIR", "RUNFILES_MANIFEST_FILE", "INVOCATION_ID",
    "BUILD_WORKING_DIRECTORY", "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "JOURNAL_STREAM", "XDG_STATE_HOME",
    "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "LD_PRELOAD", "LC_ALL", "TZ", "TMPDIR", "path", "XPATH", "PATHX", "",
]  # fmt: skip
_OWN = Account("own", JobUser(1, 2, (2,)), "/home/own", "/bin/own")
_OTHER = Account("other", JobUser(3, 4, (4, 5)), "/home/other", "")


def test_allow_list() -> None:
    """Jobs get who the user is and where programs are; nothing of the daemon's own, and nothing unknown."""
    assert job_environment(_INHERITED | dict.fromkeys(_WITHHELD, "secret"), _OWN, None) == _INHERITED


@pytest.mark.parametrize("missing", ["absent", "empty"])
def test_what_the_daemon_does_not_have(missing: str) -> None:
    """A service has no HOME, or an empty one: jobs get what the host says of its user, and a PATH."""
    found = job_environment({} if missing == "absent" else dict.fromkeys(_INHERITED, ""), _OWN, None)
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    expected = {"PATH": path, "HOME": "/home/own", "USER": "own", "LOGNAME": "own", "SHELL": "/bin/own"}
    assert found == expected


def test_a_user_that_the_host_does_not_know() -> None:
    """As in many a container: then it has no home either."""
    assert job_environment({"LANG": "C", "PATH": "/bin"}, None, None) == {"LANG": "C", "PATH": "/bin"}


def test_jobs_of_another_user() -> None:
    """They get that user's home and names, whatever the daemon's own; and the host's PATH and language."""
    assert job_environment(_INHERITED, _OWN, _OTHER) == {
        "PATH": "/bin",
        "LANG": "C",
        "HOME": "/home/other",
        "USER": "other",
        "LOGNAME": "other",
        "SHELL": "/bin/sh",
    }


def test_a_user_is_found_by_name_and_by_number() -> None:
    """With all groups that the host says that it is in."""
    (daemon,) = [entry for entry in pwd.getpwall() if entry.pw_name == "daemon"]
    found = account_of("daemon")
    assert found == account_of(str(daemon.pw_uid))
    assert found.user == JobUser(daemon.pw_uid, daemon.pw_gid, tuple(os.getgrouplist("daemon", daemon.pw_gid)))
    assert (found.name, found.home, found.shell) == ("daemon", daemon.pw_dir, daemon.pw_shell)
    assert found.user.gid in found.user.groups


@pytest.mark.parametrize(
    "name", ["no-such-user", "-1", "4294967295", "4294967294", "99999999999999999999", "1.0", " 0", "²"]
)
def test_a_user_that_is_not_there(name: str) -> None:
    """It is named; nothing is taken for another user."""
    with pytest.raises(ConfigurationError, match=f"no user '{name}' on this host; give another"):
        account_of(name)


def test_the_daemon_s_own_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is looked up likewise; that the host doesn't know it is no error."""
    found = own_account()
    assert found is None or found.user.uid == os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: 4_294_967_294)
    assert own_account() is None
