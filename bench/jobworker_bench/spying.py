"""Where processes spend their time: their stacks as py-spy samples them, and their threads' processor time."""

from __future__ import annotations

import platform
import subprocess
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

from jobworker_bench.folded import Stack, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAMPLES_PER_SECOND = 200
# Elsewhere py-spy sees no frames of machine code.
_NATIVE = ("--native",) if platform.machine() == "x86_64" else ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a process did.

    Attributes:
        stacks: How often each was seen at work; Python's threads alone have any.
        threads: Processor seconds by the name of a thread, gRPC's own included.
    """

    stacks: Mapping[Stack, int]
    threads: Mapping[str, float]


def _program() -> str:
    return str(Path(str(distribution("py-spy").locate_file("../bin/py-spy"))).absolute())


def _threads(pid: int) -> Counter[str]:
    """Returns the processor seconds of the threads that a process has, by name."""
    spent: Counter[str] = Counter()
    for task in Path(f"/proc/{pid}/task").iterdir():
        nanoseconds = int((task / "schedstat").read_text().split()[0])
        spent[(task / "comm").read_text().strip()] += nanoseconds
    return spent


def watch(pids: Mapping[str, int], seconds: int, scratch: Path) -> dict[str, Seen]:
    """Looks at processes for a while.

    Args:
        pids: Processes that go on, by name.
        seconds: For how long.
        scratch: A folder for what py-spy writes.

    Raises:
        subprocess.CalledProcessError: If py-spy may not look at one of them, which takes root or ptrace's permission.
        FileNotFoundError: If one of them ended.
    """
    before = {name: _threads(pid) for name, pid in pids.items()}
    options = [f"--duration={seconds}", f"--rate={_SAMPLES_PER_SECOND}", "--format=raw", "--function", *_NATIVE]
    with ExitStack() as stack:
        spies = [
            stack.enter_context(
                subprocess.Popen(
                    [_program(), "record", f"--pid={pid}", f"--output={scratch / name}", *options],
                    stdout=subprocess.DEVNULL,
                )
            )
            for name, pid in pids.items()
        ]
        for spy in spies:
            if spy.wait():
                raise subprocess.CalledProcessError(spy.returncode, spy.args)
    return {
        name: Seen(
            parse((scratch / name).read_text()),
            {thread: count / 1e9 for thread, count in (_threads(pid) - before[name]).most_common()},
        )
        for name, pid in pids.items()
    }
