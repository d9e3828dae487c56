"""All that parses, as fuzz targets: each takes any bytes, and fails if what is promised of them doesn't hold.

The promise is the same everywhere: any bytes are either a valid value, which survives being written and read again, or
the documented error, and no other.
"""

from jobworker_fuzz import certificates, cli, daemon, supervisor, worker
from jobworker_fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target for part in (certificates, cli, daemon, supervisor, worker) for target in part.TARGETS
}
"""The targets by name."""

__all__ = ["TARGETS", "Target"]
