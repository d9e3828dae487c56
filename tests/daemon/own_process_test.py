"""What the daemon does to its own process first of all."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
os.umask(0)
for closed in sys.argv[2:]:
    os.close(int(closed))
from jobworker.daemon import own_process
own_process.begin_anew()
targets = [os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)]
umask = os.umask(0)
with open(sys.argv[1], "w") as file:
    print(*targets, oct(umask), len(signal.pthread_sigmask(signal.SIG_BLOCK, [])), file.fileno(), file=file)
"""


@pytest.mark.parametrize("closed", [(), ("0",), ("1",), ("0", "1", "2")])
def test_a_process_begins_anew(tmp_path: Path, closed: tuple[str, ...]) -> None:
    """Closed standard streams are /dev/null, others as they were; no signal is blocked, and new files are private."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    streams = [tmp_path / "stdin", tmp_path / "stdout", tmp_path / "stderr"]
    with streams[0].open("w+") as stdin, streams[1].open("w") as stdout, streams[2].open("w") as stderr:
        command = [sys.executable, "-c", SOURCE, str(tmp_path / "said"), *closed]
        subprocess.run(command, env=environment, stdin=stdin, stdout=stdout, stderr=stderr, check=True)
    expected = [os.devnull if str(number) in closed else str(path) for number, path in enumerate(streams)]
    assert (tmp_path / "said").read_text().split() == [*expected, "0o77", "0", "3"]
