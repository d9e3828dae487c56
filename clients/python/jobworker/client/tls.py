"""Forbids gRPC anything below TLS 1.3; imports no gRPC, which reads its settings when it is first used."""

from __future__ import annotations

import os

# gRPC knows no lowest TLS version, only a list of TLS 1.2 suites. With this one, which takes a pre-shared key that
# nobody has, nothing is left to negotiate but TLS 1.3 and its own suites.
_NO_TLS_1_2 = "ECDHE-PSK-AES128-CBC-SHA"


def require_tls_1_3() -> None:
    """Has this process's gRPC connections speak TLS 1.3 and nothing older.

    A daemon speaks nothing older anyway. It is a setting of the whole process, and so a program's own decision; call it
    before gRPC is first used.
    """
    os.environ["GRPC_SSL_CIPHER_SUITES"] = _NO_TLS_1_2
