"""How a request gets in: not before its caller is known, within a time, and within a size."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jobworker.daemon.errors import MalformedRequestError, RequestTooSlowError

if TYPE_CHECKING:
    from jobworker.daemon.limiter import Limiter
    from jobworker.daemon.methods import Context


async def receive(context: Context, limiter: Limiter) -> bytes:
    """Returns the bytes of the one request of a call.

    Args:
        context: The call's.
        limiter: What knows how long a request may take, and how large it may be.

    Raises:
        RequestTooSlowError: If it takes too long; the caller's fault.
        LimitReachedError: If it is too large; the caller's fault.
        MalformedRequestError: If the caller ends the call's request stream without one; a bug of the caller's.
    """
    seconds = limiter.limits.request_seconds
    try:
        async with asyncio.timeout(seconds):
            raw = await context.read()
    except TimeoutError:
        raise RequestTooSlowError(seconds) from None
    if not isinstance(raw, bytes):
        raise MalformedRequestError
    limiter.check_message(len(raw))
    return raw
