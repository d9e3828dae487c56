"""The daemon's log: one line of logfmt an event, in which nothing that a peer sent can forge a line or a field."""

from __future__ import annotations

import functools
import json
import logging
import re
import sys
import time
from typing import TYPE_CHECKING, TextIO, final

if TYPE_CHECKING:
    from collections.abc import Mapping

_BARE = re.compile(r"[A-Za-z0-9_.:/@+-]+")


def logfmt(fields: Mapping[str, object]) -> str:
    """Returns `name=value` pairs, each value bare if it is harmless, else quoted and escaped as JSON (ASCII alone)."""
    return " ".join(f"{name}={_value(value)}" for name, value in fields.items())


def _value(value: object) -> str:
    text = str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text).replace("\x7f", "\\u007f")


# Lines come many a second.
@functools.lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


@final
class LogfmtFormatter(logging.Formatter):
    """Formats a record as time, level and event, then the fields that came in the record's attribute `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the record as one line; a traceback becomes one escaped field."""
        at = f"{_second(int(record.created))}.{int(record.msecs):03d}Z"
        head = f"time={at} level={record.levelname.lower()} event={_value(record.getMessage())}"
        fields: dict[str, object] = dict(getattr(record, "fields", {}))
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return f"{head} {logfmt(fields)}" if fields else head


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Leaves out what grpc tells, with a traceback, of a client that was gone before it could be answered."""
    return not record.getMessage().startswith("ExecuteBatchError ")


def set_up(level: int, stream: TextIO = sys.stderr) -> None:
    """Sends the log of this process to a stream, from a level on."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LogfmtFormatter())
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.getLogger("grpc._cython.cygrpc").addFilter(_is_worth_a_line)
    # A stderr that is gone must neither end a call nor write a traceback of its own.
    logging.raiseExceptions = False
    # No line names its caller, thread or process, and looking them up is half of what a line costs:
    # https://docs.python.org/3/howto/logging.html#optimization
    logging._srcfile = None  # noqa: SLF001 - as documented there
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
