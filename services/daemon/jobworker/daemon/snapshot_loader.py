"""Makes snapshots of the identity's files, one after the other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, final

from jobworker.daemon.identity_files import read_files
from jobworker.daemon.snapshot import make_snapshot

if TYPE_CHECKING:
    from jobworker.daemon.identity_files import Contents, IdentityFiles
    from jobworker.daemon.snapshot import Snapshot


@final
class SnapshotLoader:
    """Knows where the files are and what is allowed in them; keeps nothing of what it loads."""

    def __init__(self, files: IdentityFiles, uid: int, *, published_allowed: bool) -> None:
        """Loads nothing yet.

        Args:
            files: Where they are.
            uid: The id of the user that the daemon runs as.
            published_allowed: Whether the certificates whose keys everyone has may serve.
        """
        self.files = files
        self._uid = uid
        self._published_allowed = published_allowed

    def __repr__(self) -> str:
        return f"<SnapshotLoader {self.files!r}>"

    def load(self) -> Snapshot:
        """Returns the first snapshot.

        Raises:
            ConfigurationError: If anything is wrong; whoever configures the daemon has to mend it.
        """
        return self.check(read_files(self.files, self._uid), None)

    def read_again(self, before: Contents) -> Contents:
        """Returns what the files hold now, of which nothing has been checked.

        Args:
            before: What the files held before.

        Raises:
            ConfigurationError: If one can't be read.
        """
        return read_files(self.files, self._uid, before)

    def check(self, contents: Contents, before: Snapshot | None) -> Snapshot:
        """Returns the snapshot of what was read.

        Args:
            contents: What the files hold.
            before: The snapshot in force; None for the first one.

        Raises:
            ConfigurationError: If anything in it is wrong; whoever configures the daemon has to mend it.
        """
        return make_snapshot(
            self.files,
            contents,
            datetime.now(UTC),
            before=before,
            published_allowed=self._published_allowed,
        )
