"""The options that say how jobs are run and kept, which the worker library is given; no I/O."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.daemon import inherit_options
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.inherit_options import InheritOptions, parse_inherit_options
from jobworker.daemon.retention import parse_keep_finished, parse_log_limit
from jobworker.daemon.state_home import default_state_dir

if TYPE_CHECKING:
    from pathlib import Path

    from jobworker.daemon.values import Values
    from jobworker.worker import KeepFinished

DEFAULTS = {
    "--store": "sqlite",
    "--cgroup-root": "auto",
    "--log-limit": "1G",
    "--keep-finished": "10000,30d",
    **inherit_options.DEFAULTS,
}
"""What holds where nothing was given; the state directory's depends on the user."""

_CGROUP_WORDS = ("auto", "off")


@final
class StoreKind(enum.Enum):
    """Where what is known of jobs is kept."""

    SQLITE = "sqlite"
    """In the state directory; jobs outlive the daemon."""
    MEMORY = "memory"
    """Nowhere but in the daemon; jobs are forgotten, and die, with it."""


@final
@dataclass(frozen=True, slots=True)
class JobOptions:
    """How jobs are run and kept.

    Attributes:
        state_dir: Where jobs and their output are kept; None for a private temporary directory.
        store: Where what is known of jobs is kept.
        keep_jobs: Whether jobs go on when the daemon is told to stop.
        isolate_owners: Whether each client is shown the jobs of its own principal alone.
        cgroup_root: The cgroup v2 directory for jobs' cgroups, an absolute path, or auto or off.
        log_limit: How many bytes of each stream are kept; 0 for all.
        keep_finished: How many finished jobs are kept, and for how long.
        inherits: What jobs inherit.
    """

    state_dir: Path | None
    store: StoreKind
    keep_jobs: bool
    isolate_owners: bool
    cgroup_root: str
    log_limit: int
    keep_finished: KeepFinished
    inherits: InheritOptions


def parse_job_options(values: Values, uid: int) -> JobOptions:
    """Returns what the command line and the environment say of jobs.

    Args:
        values: The options' values.
        uid: The id of the user that the daemon runs as.

    Raises:
        ConfigurationError: If a value can't be, or two contradict each other; whoever started the daemon has to mend
            it.
    """
    store = _store(values.required("--store"))
    keep_jobs = values.flag("--keep-jobs")
    if keep_jobs and store is StoreKind.MEMORY:
        raise ConfigurationError(
            "--keep-jobs can't be with --store=memory, which forgets all jobs; leave one of them out"
        )
    return JobOptions(
        state_dir=_state_dir(values, store, uid),
        store=store,
        keep_jobs=keep_jobs,
        isolate_owners=values.flag("--isolate-owners"),
        cgroup_root=_cgroup_root(values),
        log_limit=parse_log_limit(values.required("--log-limit")),
        keep_finished=parse_keep_finished(values.required("--keep-finished")),
        inherits=parse_inherit_options(values),
    )


def _store(kind: str) -> StoreKind:
    try:
        return StoreKind(kind.lower())
    except ValueError:
        raise ConfigurationError(f"unknown job store {kind!r}; give sqlite or memory (--store)") from None


def _state_dir(values: Values, store: StoreKind, uid: int) -> Path | None:
    given = values.text("--state-dir")
    if given is not None:
        return values.absolute(given)
    # Of what a memory forgets nobody could ever read the output that is left.
    return None if store is StoreKind.MEMORY else default_state_dir(values.environment, uid)


def _cgroup_root(values: Values) -> str:
    given = values.required("--cgroup-root")
    return given if given in _CGROUP_WORDS else str(values.absolute(given))
