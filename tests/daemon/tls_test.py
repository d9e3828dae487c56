"""The floor under TLS can't be laid too late, and can't be taken away unnoticed."""

from __future__ import annotations

import os
import subprocess
import sys

import grpc
import pytest

from jobworker.daemon import tls
from jobworker.daemon.errors import CipherSuitesError

_ORDERLY = """
import sys
from jobworker.daemon import app, tls
assert "grpc" not in sys.modules, "the composition root imports grpc before the floor is laid"
tls.lay_floor().require()
from jobworker.daemon import server
"""


def test_too_late() -> None:
    """Once grpc is imported, as it is here, the floor can't be laid any more, and that is no silent matter."""
    assert grpc.__name__ in sys.modules
    with pytest.raises(CipherSuitesError, match="before the TLS floor"):
        tls.lay_floor()


def test_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server isn't made if the variable was changed since."""
    floor = tls.Floor("the suites")
    for value in ("the suites", "others", ""):
        monkeypatch.setenv("GRPC_SSL_CIPHER_SUITES", value)
        if value == "the suites":
            floor.require()
        else:
            with pytest.raises(CipherSuitesError, match="was changed"):
                floor.require()


def test_composition_root_is_in_time() -> None:
    """The composition root doesn't import grpc by itself, so it can lay the floor; and another value doesn't matter."""
    environment = {**os.environ, "GRPC_SSL_CIPHER_SUITES": "ECDHE-ECDSA-AES128-GCM-SHA256"}
    done = subprocess.run(
        [sys.executable, "-c", _ORDERLY], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
