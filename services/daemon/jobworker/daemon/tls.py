"""The floor under TLS: version 1.3 alone, with its three suites; has to be laid before grpc is first imported."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import final

from jobworker.daemon.errors import CipherSuitesError

VERSION = b"TLSv1.3"
"""What grpc's auth context must say of every connection."""

# grpc has no option for the least version of TLS, and its server accepts 1.2. This variable names the suites for 1.2
# alone, so it names one that can never be agreed on: it needs a pre-shared key, which grpc never has. What remains is
# 1.3 with the suites AES-128-GCM, AES-256-GCM and CHACHA20-POLY1305.
_VARIABLE = "GRPC_SSL_CIPHER_SUITES"
_SUITES_FOR_TLS_1_2 = "ECDHE-PSK-AES128-CBC-SHA"


@final
@dataclass(frozen=True, slots=True)
class Floor:
    """The proof that the floor was laid in time, which a server can't be made without; `lay_floor` gives it out."""

    suites_for_tls_1_2: str

    def require(self) -> None:
        """Returns if the floor is still there.

        Raises:
            CipherSuitesError: If the process's environment was changed since; a bug of ours.
        """
        if os.environ.get(_VARIABLE) != self.suites_for_tls_1_2:
            raise CipherSuitesError(f"{_VARIABLE} was changed after the TLS floor was laid; leave it alone")


def lay_floor() -> Floor:
    """Makes every grpc server of this process refuse anything below TLS 1.3.

    Raises:
        CipherSuitesError: If grpc was imported already, and so may have read the variable; a bug of ours.
    """
    if "grpc" in sys.modules:
        raise CipherSuitesError("grpc was imported before the TLS floor was laid; call tls.lay_floor first")
    os.environ[_VARIABLE] = _SUITES_FOR_TLS_1_2
    return Floor(_SUITES_FOR_TLS_1_2)
