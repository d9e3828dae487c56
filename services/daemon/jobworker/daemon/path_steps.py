"""Which entries of which directories a path leads through, so that a change can be noticed; no I/O of its own."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# As the kernel's own limit: path_resolution(7).
_MAX_LINKS = 40


def steps(path: str, target_of: Callable[[str], str | None]) -> Iterator[tuple[str, str]]:
    """Yields each directory, without symbolic links in its path, with the name in it that the path goes on with.

    Of `/etc/tls.crt`, a link to `data/tls.crt`, where `data` is a link to `v1`, these are: / with etc, /etc with
    tls.crt, with data, and with v1, and /etc/v1 with tls.crt.

    Args:
        path: An absolute path.
        target_of: Returns where a symbolic link leads to; None for what is no such link, or not there.
    """
    directory, rest, links = "/", path.split("/")[::-1], 0
    while rest:
        name = rest.pop()
        if name in ("", "."):
            continue
        if name == "..":
            directory = posixpath.dirname(directory)
            continue
        yield directory, name
        entry = posixpath.join(directory, name)
        target = target_of(entry)
        if target is None:
            directory = entry
            continue
        links += 1
        if links > _MAX_LINKS:
            return
        if target.startswith("/"):
            directory = "/"
        rest.extend(target.split("/")[::-1])
