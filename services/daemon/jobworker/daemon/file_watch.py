"""Notices when files may have changed, by inotify on the directories that their paths lead through."""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, final

from jobworker.daemon.path_steps import steps
from jobworker.worker import Inotify, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_logger = logging.getLogger(__name__)

# Each round begins with links that were changed during the one before.
_MAX_ROUNDS = 8


@final
class FileWatch:
    """Watches the way to some files, each symbolic link on it included.

    The files themselves are not watched: one that was replaced, by a rename or by another target of a link, would be
    watched on, and its successor not.
    """

    def __init__(self, inotify: Inotify, paths: Iterable[Path], callback: Callable[[], None]) -> None:
        """Watches nothing before `renew`.

        Args:
            inotify: What to watch with.
            paths: The files.
            callback: Called in the event loop after any may have changed.
        """
        self._inotify = inotify
        self._paths = tuple(map(str, paths))
        # Where files are replaced, rather than whole directories: to be unable to watch these is worth a warning.
        self._important: set[str] = set()
        self._callback = callback
        self._watches: frozenset[int] = frozenset()
        self._failed: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"<FileWatch files={len(self._paths)} directories={len(self._watches)}>"

    def renew(self) -> None:
        """Watches the way that leads to the files now; what is read after this can't change unnoticed."""
        directories = self._directories()
        for _ in range(_MAX_ROUNDS):
            self._watch(directories)
            # A link that was changed before its directory was watched is noticed by looking again.
            before, directories = directories, self._directories()
            if before == directories:
                return

    def _directories(self) -> dict[str, frozenset[str]]:
        names: defaultdict[str, set[str]] = defaultdict(set)
        self._important.clear()
        for path in self._paths:
            way = list(steps(path, _target_of))
            for directory, name in way:
                names[directory].add(name)
                if (directory, name) == way[-1] or _target_of(f"{directory}/{name}") is not None:
                    self._important.add(directory)
        return {directory: frozenset(found) for directory, found in names.items()}

    def _watch(self, directories: dict[str, frozenset[str]]) -> None:
        watches: set[int] = set()
        failed: dict[str, str] = {}
        for directory, names in directories.items():
            try:
                watches.add(self._inotify.add_entries(directory, names, self._callback))
            except FileNotFoundError:
                # Its parent tells when it comes.
                continue
            except (OSError, WorkerError) as error:
                if directory in self._important:
                    failed[directory] = str(error)
        for watch in self._watches - watches:
            self._inotify.remove(watch)
        self._watches = frozenset(watches)
        for directory in failed.keys() - self._failed:
            fields = {"directory": directory, "error": failed[directory], "instead": "SIGHUP"}
            _logger.warning("watch_failed", extra={"fields": fields})
        self._failed = frozenset(failed)


def _target_of(entry: str) -> str | None:
    try:
        return str(Path(entry).readlink())
    except OSError:
        return None
