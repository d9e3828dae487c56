"""Page tokens: where a list of jobs goes on, sealed; no I/O and no event loop.

A token is a position of the job store, and positions count everyone's jobs. So a token is encrypted and authenticated,
with the view that it was made for: nobody learns from one how many jobs others have started, makes one up, or takes
one from another's view to its own. It gives no right to anything: what is listed is decided anew with each page.

The construction is that of SIV (https://www.rfc-editor.org/rfc/rfc5297), with HMAC-SHA-256, which the standard library
has: the tag is made of view and position, and what masks the position is made of the tag.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from typing import TYPE_CHECKING, final

from jobworker.worker.errors import InvalidPageTokenError

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

_TAG_BYTES = 16
_POSITION_BYTES = 8
# 24 bytes, each spelling of which in base64 is another text: no padding, and no spare bits.
_TOKEN = re.compile(r"[0-9A-Za-z_-]{32}")


@final
class PageTokens:
    """The page tokens of one job store."""

    def __init__(self, key: bytes) -> None:
        """Takes the key.

        Args:
            key: The job store's secret.
        """
        self._key = key

    def __repr__(self) -> str:
        return "<PageTokens>"

    def encode(self, position: int | None, visible_to: AbstractSet[str] | None) -> str:
        """Returns the token for the jobs before a position of the job store; empty for None.

        Args:
            position: The position.
            visible_to: Whose jobs are listed; None for everyone's.
        """
        if position is None:
            return ""
        plain = position.to_bytes(_POSITION_BYTES, "big")
        view = json.dumps(None if visible_to is None else sorted(visible_to)).encode()
        tag = self._hash(b"tag", plain + view)[:_TAG_BYTES]
        return base64.urlsafe_b64encode(tag + self._masked(tag, plain)).decode()

    def decode(self, token: str, visible_to: AbstractSet[str] | None) -> int | None:
        """Returns the position that a token stands for; None for an empty token.

        Raises:
            InvalidPageTokenError: If `encode` never gave it out for this view; the caller's fault.
        """
        if not token:
            return None
        if not _TOKEN.fullmatch(token):
            raise InvalidPageTokenError
        sealed = base64.urlsafe_b64decode(token)
        position = int.from_bytes(self._masked(sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]), "big")
        if not hmac.compare_digest(self.encode(position, visible_to), token):
            raise InvalidPageTokenError
        return position

    def _masked(self, tag: bytes, position: bytes) -> bytes:
        return bytes(one ^ other for one, other in zip(position, self._hash(b"mask", tag), strict=False))

    def _hash(self, use: bytes, data: bytes) -> bytes:
        return hmac.digest(self._key, use + b"\0" + data, "sha256")
