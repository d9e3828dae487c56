"""Prepares this process for gRPC, which reads its settings when it is imported; imports no gRPC itself."""

from __future__ import annotations

import contextlib
import gc
import os
from typing import TYPE_CHECKING

from jobworker.client.tls import require_tls_1_3

if TYPE_CHECKING:
    from collections.abc import Iterator

_STANDARD_STREAMS = (0, 1, 2)


def hold_standard_streams() -> None:
    """Takes the places of standard streams that are closed, lest a connection gets one and output goes into it."""
    for stream in _STANDARD_STREAMS:
        try:
            os.fstat(stream)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # gets the lowest free number; writing to it fails


def set_grpc_up(*, debug: bool) -> None:
    """Forbids gRPC anything below TLS 1.3, and to talk on stderr beside our one line, unless to debug."""
    require_tls_1_3()
    if not debug:
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Imports without looking for garbage in what stays, which takes a tenth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
