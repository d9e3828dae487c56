"""The README's programs, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobworker_testing.world import World

_PROGRAMS = re.findall(r"^```python\n(.*?)^```$", Path("README.md").read_text(), re.DOTALL | re.MULTILINE)


def _run(program: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_library_in_ten_lines() -> None:
    """The library's example prints what the README says it prints."""
    (program,) = (one for one in _PROGRAMS if "jobworker.worker" in one)
    assert _run(program) == "b'hi\\n'\nJobState.SUCCEEDED\n"


def test_the_python_client(world: World) -> None:
    """The client's example starts a job on a daemon and reads its log to the end frame."""
    (program,) = (one for one in _PROGRAMS if "job_worker_pb2_grpc" in one)
    assert program.count("127.0.0.1:8080") == 1
    printed = _run(program.replace("127.0.0.1:8080", world.daemon.address))
    assert printed.startswith("b'hi\\n'\n")
    assert "state: JOB_STATE_SUCCEEDED" in printed
