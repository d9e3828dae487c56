"""How much of jobs is kept, as people type it: the options --log-limit and --keep-finished; no I/O."""

from __future__ import annotations

import re

from jobworker.daemon.amounts import parse_age, parse_size
from jobworker.daemon.errors import ConfigurationError
from jobworker.worker import KeepFinished

LEAST_LOG_LIMIT = 64 << 10
"""Output is released in steps; below this a limit could not be kept even roughly."""

_COUNT = re.compile("[0-9]{1,18}")


def parse_log_limit(text: str) -> int:
    """Returns how many bytes of each stream are kept; 0 for all.

    Raises:
        ConfigurationError: If it is no size, or too small a one; whoever configures the daemon has to mend it.
    """
    try:
        limit = parse_size(text)
    except ValueError as error:
        raise ConfigurationError(f"--log-limit: {error}; give at least 64K, or 0 for no limit") from None
    if 0 < limit < LEAST_LOG_LIMIT:
        raise ConfigurationError(f"--log-limit: {text!r} is too little; give at least 64K, or 0 for no limit")
    return limit


def parse_keep_finished(text: str) -> KeepFinished:
    """Returns how many finished jobs are kept, and for how long; what isn't named has no limit.

    Raises:
        ConfigurationError: If it is neither a count, nor an age, nor one of each; whoever configures the daemon has to
            mend it.
    """
    if text.lower() == "all":
        return KeepFinished(count=None, age=None)
    parts = [part.strip() for part in text.split(",")]
    counts = [int(part) for part in parts if _COUNT.fullmatch(part)]
    try:
        ages = [parse_age(part) for part in parts if not _COUNT.fullmatch(part)]
    except ValueError as error:
        raise ConfigurationError(f"--keep-finished: {error}; {_ADVICE}") from None
    if len(counts) > 1 or len(ages) > 1:
        raise ConfigurationError(f"--keep-finished: {text!r} says the same twice; {_ADVICE}")
    if not all((*counts, *ages)):
        raise ConfigurationError(
            f"--keep-finished: {text!r} would keep nothing, not even for those who wait; {_ADVICE}"
        )
    return KeepFinished(count=next(iter(counts), None), age=next(iter(ages), None))


_ADVICE = "give a count such as 500, an age such as 30d, both as 500,30d, or all"
