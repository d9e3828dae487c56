"""Says who may do what with a configuration, for people; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker.daemon.configuration import Configuration


def description(configuration: Configuration) -> str:
    """Returns who may do what, line by line."""
    return "\n".join(_lines(configuration))


def _lines(configuration: Configuration) -> Iterator[str]:
    yield f"listens on: {', '.join(map(str, configuration.endpoints))}"
    yield "principals:"
    for one in configuration.principals.principals:
        # A name that is a fingerprint says it already.
        name = one.name if one.fingerprints != (one.name,) else "(no name)"
        yield f"  {name}: {one.role.name}"
        yield from (f"    {fingerprint}" for fingerprint in one.fingerprints)
