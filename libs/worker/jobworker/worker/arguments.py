"""Checks what callers hand in: commands, ids, numbers and page sizes; no I/O and no event loop."""

from __future__ import annotations

import math
import re
import uuid
from typing import TYPE_CHECKING

from jobworker.supervisor.protocol import MOST_ARGUMENT_BYTES
from jobworker.worker.errors import (
    CommandTooLongError,
    InvalidCommandError,
    InvalidGracePeriodError,
    InvalidJobIdError,
    InvalidLimitError,
    InvalidOffsetError,
    InvalidPageSizeError,
    InvalidRequestIdError,
    InvalidStreamError,
    InvalidTailLinesError,
)
from jobworker.worker.job import STREAMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobworker.worker.job import StreamName

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000

_ID_CHARACTERS = re.compile(r"[0-9a-f-]{1,36}")
_UUID_SHAPE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def check_command(command: Sequence[str]) -> tuple[str, ...]:
    """Returns the command as a tuple.

    Raises:
        InvalidCommandError: If it is empty, is one string, names an empty program, or holds a NUL or what is not
            text; the caller's fault.
        CommandTooLongError: If no kernel takes as much; the caller's fault.
    """
    if isinstance(command, str):
        raise InvalidCommandError(f"the command is one string; give its words, such as ['sh', '-c', {command[:64]!r}]")
    if not command:
        raise InvalidCommandError("the command is empty; give a program and its arguments")
    if not command[0]:
        raise InvalidCommandError("the program's name is empty; give a name or a path as the command's first word")
    for index, word in enumerate(command):
        if "\0" in word:
            raise InvalidCommandError(f"word {index} of the command holds a NUL character, which the kernel can't pass")
        _check_encodable(index, word)
    if (length := argument_bytes(command)) > MOST_ARGUMENT_BYTES:
        raise CommandTooLongError(length)
    return tuple(command)


def argument_bytes(command: Sequence[str]) -> int:
    """Returns how many bytes a command's words have, each with a zero byte at its end, as the kernel counts them."""
    return sum(len(word.encode("utf-8", "surrogateescape")) + 1 for word in command)


def _check_encodable(index: int, word: str) -> None:
    if word.isascii():
        return
    try:
        word.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidCommandError(f"word {index} of the command holds half a surrogate pair; give text") from None


def check_job_id(job_id: str) -> str:
    """Returns a job id, or the beginning of one, in lower case.

    Raises:
        InvalidJobIdError: If no job id can begin like this; the caller's fault.
    """
    lowered = job_id.lower()
    # A template of a UUID, completed from where the given characters end, shows whether the dashes are in place.
    if not _ID_CHARACTERS.fullmatch(lowered) or not _UUID_SHAPE.fullmatch(lowered + _TEMPLATE[len(lowered) :]):
        raise InvalidJobIdError(job_id)
    return lowered


_TEMPLATE = str(uuid.UUID(int=0))


def check_request_id(request_id: str | None) -> str | None:
    """Returns a request id in its canonical form, or None for none.

    Raises:
        InvalidRequestIdError: If it is not a UUID; the caller's fault.
    """
    if not request_id:
        return None
    lowered = request_id.lower()
    if not _UUID_SHAPE.fullmatch(lowered):
        raise InvalidRequestIdError(request_id)
    return lowered


def check_stream(stream: str) -> StreamName:
    """Returns the stream's name.

    Raises:
        InvalidStreamError: If it is neither stdout nor stderr; the caller's fault.
    """
    for name in STREAMS:
        if stream == name:
            return name
    raise InvalidStreamError(stream)


def check_offset(offset: int) -> int:
    """Returns the offset.

    Raises:
        InvalidOffsetError: If it is negative; the caller's fault.
    """
    if offset < 0:
        raise InvalidOffsetError(offset)
    return offset


def check_tail_lines(tail_lines: int | None, offset: int) -> int | None:
    """Returns how many lines before the end to begin a read, or None to begin it at the offset.

    Raises:
        InvalidTailLinesError: If it is negative, or there is an offset too; the caller's fault.
    """
    if tail_lines is None:
        return None
    if tail_lines < 0:
        raise InvalidTailLinesError(f"{tail_lines} lines before the end can't be; give 0 or more")
    if offset:
        raise InvalidTailLinesError(f"a read begins at offset {offset} or {tail_lines} lines before the end; give one")
    return tail_lines


def check_limit(limit: int) -> int:
    """Returns how many bytes a read may give at most; 0 for any number.

    Raises:
        InvalidLimitError: If it is negative; the caller's fault.
    """
    if limit < 0:
        raise InvalidLimitError(limit)
    return limit


def check_grace_period(seconds: float) -> float:
    """Returns how long a job may take to end by itself, in seconds.

    Raises:
        InvalidGracePeriodError: If it is negative, infinite or no number; the caller's fault.
    """
    if not 0 <= seconds < math.inf:
        raise InvalidGracePeriodError(seconds)
    return seconds


def check_page_size(page_size: int) -> int:
    """Returns how many jobs to put on a page: the default for 0, and `MAX_PAGE_SIZE` at most.

    Raises:
        InvalidPageSizeError: If it is negative; the caller's fault.
    """
    if page_size < 0:
        raise InvalidPageSizeError(page_size)
    return min(page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
