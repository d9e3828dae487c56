"""What jobs inherit."""

from __future__ import annotations

from jobworker.daemon.job_environment import job_environment

_INHERITED = {
    "PATH": "/bin", "HOME": "/h", "USER": "u", "LOGNAME": "u", "SHELL": "/bin/sh", "LANG": "C", "LC_ALL": "C",
    "LC_CTYPE": "C", "TZ": "UTC", "TMPDIR": "/t",
}  # fmt: skip
_WITHHELD = [
    "GRPC_VERBOSITY", "GRPC_SSL_CIPHER_SUITES", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "PYTHONPATH",
    "PYTHONSAFEPATH", "JOBWORKER_KEY", "RUNFILES_DIR", "RUNFILES_MANIFEST_FILE", "BUILD_WORKING_DIRECTORY",
    "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD", "path", "XPATH", "PATHX", "",
]  # fmt: skip


def test_allow_list() -> None:
    """Jobs get who the user is and how the host is set up; nothing of the daemon's own, and nothing unknown."""
    assert job_environment(_INHERITED | dict.fromkeys(_WITHHELD, "secret")) == _INHERITED
