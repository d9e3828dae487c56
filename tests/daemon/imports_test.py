"""What the daemon imports before its supervisor is started, which nothing else is done beside."""

from __future__ import annotations

import os
import subprocess
import sys

# Each takes at least 10 ms, and all of them are imported while the supervisor starts.
_LATER = {
    "google.protobuf",
    "google.rpc",
    "grpc",
    "jobworker.v1",
    "jobworker.daemon.audit_trail",
    "jobworker.daemon.server",
}
# What another command or no start at all needs.
_NEVER = {"email.message", "grpc_tools", "http.client", "jobworker.daemon.verify_audit", "unittest", "xml"}


def test_what_serves_is_not_imported_first() -> None:
    """The composition root knows nothing of gRPC and of protobuf, whichever of its modules begins to use them."""
    show = "import jobworker.daemon.app, sys; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    loaded = subprocess.check_output([sys.executable, "-Sc", show], env=environment, text=True).split()
    assert "jobworker.worker" in loaded
    assert not set(loaded) & (_LATER | _NEVER)
