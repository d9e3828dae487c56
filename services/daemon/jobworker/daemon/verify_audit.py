"""The command verify-audit: reads the files of an audit log, in order, and says whether they are one unbroken chain."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from jobworker.daemon.audit_chain import GENESIS
from jobworker.daemon.audit_verifier import BrokenChainError, Verifier
from jobworker.daemon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from jobworker.daemon.audit_verifier import Report

EXIT_BROKEN = 1

_HASH = re.compile(r"[0-9a-f]{64}")
# No line is longer; a file without line feeds is not read into memory.
_MAX_LINE = 32 * 1024 * 1024


def verify_audit(files: Sequence[Path], expected: Sequence[str], expected_last: str | None) -> int:
    """Prints what the files are, on stdout, or what is wrong with them, on stderr, and returns the exit code.

    Args:
        files: The parts of one audit log, the oldest first.
        expected: Hashes of lines that were kept elsewhere.
        expected_last: The hash that the last line has to have; None for any.

    Raises:
        ConfigurationError: If a file can't be read, or a hash is none; whoever typed them has to mend them.
    """
    hashes = [*expected, *([expected_last] if expected_last else [])]
    for each in hashes:
        if not _HASH.fullmatch(each):
            raise ConfigurationError(f"{each!r} is no SHA-256; give its 64 lower-case hexadecimal digits")
    verifier = Verifier(hashes)
    try:
        for place, raw in _lines(files):
            verifier.add(place, raw)
        report = verifier.report()
        _require(report, expected_last)
    except BrokenChainError as error:
        print(f"worker-daemon: {error}", file=sys.stderr)
        return EXIT_BROKEN
    print("\n".join(_told(report)))
    return 0


def _lines(files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    for path in files:
        try:
            with path.open("rb") as file:
                number = 0
                while raw := file.readline(_MAX_LINE):
                    number += 1
                    yield f"{path}:{number}", raw
        except OSError as error:
            raise ConfigurationError(f"can't read {path}: {error.strerror}") from None


def _require(report: Report, expected_last: str | None) -> None:
    if report.missing:
        raise BrokenChainError(
            f"no line has the hash {min(report.missing)}: lines were removed from the end, or all was written anew"
        )
    if expected_last and report.head.digest != expected_last:
        raise BrokenChainError(f"the last line has the hash {report.head.digest}: lines were added since")


def _told(report: Report) -> Iterator[str]:
    since = "from the beginning of the chain" if report.after == GENESIS else f"after {report.after}"
    yield f"{report.lines} lines hold together, {since}"
    yield from (f"{place}: {count} bytes were cut off, as the next line tells" for place, count in report.torn)
    yield from (f"{place}: a call was begun, and no outcome is told" for place in report.unfinished.values())
    yield f"last {report.head.digest} number {report.head.seq}"
