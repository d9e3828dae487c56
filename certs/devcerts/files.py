"""Writes sets of new files, all of them or none; knows nothing of certificates."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_PRIVATE = 0o600
_PUBLIC = 0o644


@final
class AlreadyThereError(FileExistsError):
    """A file that should be made exists; it was left as it is."""

    def __init__(self, path: Path) -> None:
        """Names the file."""
        super().__init__(f"{path} exists and is not overwritten")
        self.path = path


def write_new(directory: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Writes files that must not exist yet; names that end in `-key.pem` are private (0600).

    Args:
        directory: where to write; made, with its parents, if it does not exist.
        files: the content of each file by its name.

    Returns:
        The paths written, in the order of `files`.

    Raises:
        AlreadyThereError: one of the files exists. Nothing was written.
        OSError: a file could not be written. Those that were are removed again.
    """
    paths = [directory / name for name in files]
    refuse_existing(directory, files)
    made = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    written: list[Path] = []
    try:
        _make_folder(directory)
        for path, content in zip(paths, files.values(), strict=True):
            _write_one(path, content, written)
    except BaseException:
        _remove(written, made)
        raise
    return paths


def refuse_existing(directory: Path, names: Iterable[str]) -> None:
    """Checks that no file of these names is in the directory.

    Raises:
        AlreadyThereError: one is.
    """
    for path in (directory / name for name in names):
        if os.path.lexists(path):
            raise AlreadyThereError(path)


def _make_folder(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory)) from None


def _write_one(path: Path, content: bytes, written: list[Path]) -> None:
    mode = _PRIVATE if path.name.endswith("-key.pem") else _PUBLIC
    try:
        # O_EXCL also refuses what appeared since the check, a symbolic link included.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise AlreadyThereError(path) from None
    written.append(path)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _remove(files: list[Path], folders: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
