"""Packs the API for who vendors it: the same bytes for the same files.

Usage:
  archive <archive> <version-file> <entry>...
  archive -h | --help

The version file is the Python file that has __version__. An entry is TARGET=SOURCE: a path in the archive, and a file.
"""

from __future__ import annotations

import gzip
import io
import re
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import docopt

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
# 1980-01-01, the earliest time that all archive formats know.
_TIME = 315_532_800


def pack(root: str, files: Mapping[str, bytes]) -> bytes:
    """Returns a tar.gz of files, in a folder of its own, with fixed times, owners and modes.

    Args:
        root: The folder's name.
        files: What each file holds, by its path in the folder.
    """
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=_TIME) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"{root}/{path}")
            entry.size, entry.mtime, entry.mode = len(content), _TIME, 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def main(argv: list[str]) -> int:
    """Writes the archive that argv names.

    Returns:
        The exit code: 0, or 1 if the version file has no version.
    """
    options = docopt.docopt(__doc__ or "", argv)
    version = _VERSION.search(Path(options["<version-file>"]).read_text())
    if version is None:
        print(f'archive: {options["<version-file>"]} has no line __version__ = "…"', file=sys.stderr)
        return 1
    entries = (entry.split("=", 1) for entry in options["<entry>"])
    files = {target: Path(source).read_bytes() for target, source in entries}
    Path(options["<archive>"]).write_bytes(pack(f"jobworker-api-{version[1]}", files))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
