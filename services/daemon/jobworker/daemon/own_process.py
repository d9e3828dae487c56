"""What the daemon does to its own process before anything else, whoever started it, and however."""

from __future__ import annotations

import os
import signal

UMASK = 0o077
"""What the daemon makes is for its user alone, should a library have forgotten to say so."""
_FIRST_FREE = 3


def begin_anew() -> None:
    """Opens closed standard streams, lets all signals through, and makes new files private.

    A socket in the place of a closed stderr would be written to; a blocked SIGTERM would never come. Which signals were
    ignored doesn't matter: the daemon handles those that concern it.

    Raises:
        OSError: If there are no descriptors left; a limit's fault.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) < _FIRST_FREE:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - it has no name
    os.close(descriptor)
    os.umask(UMASK)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
