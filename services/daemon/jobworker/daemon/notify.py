"""Tells the service manager how the daemon is, by the protocol of sd_notify(3)."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_logger = logging.getLogger(__name__)


def notify(state: str, environment: Mapping[str, str]) -> None:
    """Sends a state, such as `READY=1`, to the socket that NOTIFY_SOCKET names; does nothing if it names none.

    A service manager that can't be reached is no reason to stop serving: it is logged.
    """
    path = environment.get("NOTIFY_SOCKET", "")
    if not path:
        return
    # A leading @ stands for the NUL of a name in the abstract namespace.
    name = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            # A service manager that hangs must not hang the daemon.
            sender.settimeout(0)
            sender.sendto(state.encode(), name)
    except OSError as error:
        _logger.warning("notify_failed", extra={"fields": {"state": state, "error": str(error)}})
