"""Makes request ids; apart, since a program that starts no job need not wait for the import."""

from __future__ import annotations

import uuid


def fresh_request_id() -> str:
    """Returns an id that no request had before."""
    return str(uuid.uuid4())
