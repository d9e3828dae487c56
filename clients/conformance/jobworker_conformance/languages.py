"""The clients of each language: how they are built, and how their drivers are run."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LANGUAGES = ("python", "go", "typescript", "java", "rust")
NO_TOOLCHAIN = 3
"""What a language's `build` exits with if its toolchain is not there."""

_PATIENCE_SECONDS = 120


class DriverError(Exception):
    """A driver failed, or printed what it must not; a bug of the client's."""


@final
@dataclass(frozen=True, slots=True)
class Built:
    """What came of building a language's client.

    Attributes:
        code: What its `build` exited with.
        said: The end of what it printed.
    """

    code: int
    said: str


def build(folder: Path) -> Built:
    """Builds a language's client; what it prints goes to stderr."""
    done = subprocess.run(
        [folder / "build"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    sys.stderr.buffer.write(done.stdout)
    sys.stderr.flush()
    return Built(done.returncode, done.stdout.decode(errors="replace").strip().rpartition("\n")[2])


async def drive(folder: Path, order: Mapping[str, object]) -> Sequence[object]:
    """Has a language's driver carry out a scenario's steps, and returns their results.

    Args:
        folder: The language's.
        order: The address, the files and the steps.

    Raises:
        DriverError: If it fails, hangs, or prints something else; a bug of the client's.
    """
    process = await asyncio.create_subprocess_exec(
        folder / "driver", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            out, err = await process.communicate(json.dumps(order).encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise DriverError(f"the driver was not done after {_PATIENCE_SECONDS} s") from None
    said = err.decode(errors="replace").strip()[-500:]
    if process.returncode:
        raise DriverError(f"the driver exited with {process.returncode}: {said}")
    try:
        results = json.loads(out)["results"]
    except (ValueError, KeyError, TypeError):
        raise DriverError(f"the driver printed no results: {out[:200]!r} {said}") from None
    if not isinstance(results, list):
        raise DriverError(f"the driver's results are no list: {out[:200]!r}")
    return results
