"""Who the daemon is and whom it lets in, now: the snapshot in force, and what it says of each client."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from jobworker.daemon.judgement import judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobworker.daemon.judgement import Verdict
    from jobworker.daemon.snapshot import Snapshot

# Of certificates; each is a few KiB.
_MAX_VERDICTS = 1024


@final
class LiveIdentity:
    """Holds the snapshot in force; it belongs to the event loop, but for `snapshot`, which any thread may read.

    Attributes:
        snapshot: The snapshot in force.
    """

    def __init__(self, first: Snapshot) -> None:
        """Begins with a snapshot."""
        self.snapshot = first
        self._verdicts: dict[tuple[bytes, bytes], Verdict] = {}
        self._followers: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"<LiveIdentity {self.snapshot!r}>"

    def verdict(self, certificate: bytes, sent: bytes) -> Verdict:
        """Returns what the snapshot in force says of a client's certificate; see `judgement.judge`."""
        key = (certificate, sent)
        known = self._verdicts.get(key)
        if known is None:
            if len(self._verdicts) >= _MAX_VERDICTS:
                self._verdicts.clear()
            known = self._verdicts[key] = judge(certificate, sent, self.snapshot)
        return known

    def follow(self, follower: Callable[[], None]) -> None:
        """Has a function called, in the event loop, after each change of the snapshot."""
        self._followers.append(follower)

    def replace(self, snapshot: Snapshot) -> None:
        """Puts a snapshot in force, for all that is decided from now on, and tells those who follow."""
        self.snapshot = snapshot
        self._verdicts.clear()
        for follower in self._followers:
            follower()
