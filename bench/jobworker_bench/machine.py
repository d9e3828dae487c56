"""What a run was run on: the machine, the programs, the code and the hour."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import grpc


def about() -> dict[str, str]:
    """Returns what a reader of figures has to know of where they come from, by name."""
    return {
        "time": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "code": _code(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "system": f"{_distribution()}, Linux {platform.release()}",
        "Python": platform.python_version(),
        "grpcio": grpc.__version__,
        "state directories on": _file_system(tempfile.gettempdir()),
    }


def _code() -> str:
    """Returns the commit of the tree that the program was called from."""
    tree = os.environ.get("BUILD_WORKSPACE_DIRECTORY", ".")
    asked = ["git", "-C", tree, "describe", "--always", "--dirty"]
    try:
        return subprocess.run(asked, capture_output=True, check=True, text=True).stdout.strip()
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "unknown"


def _processor() -> str:
    named = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return named[0].partition(":")[2].strip() if named else platform.machine()


def _distribution() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")


def _file_system(folder: str) -> str:
    """Returns the type of the file system that a folder is on: on some, nothing is ever synced to a disk."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    path = Path(folder).resolve()
    holding = [(len(point), kind) for point, kind in mounts if path.is_relative_to(point)]
    # The last of those mounted on one point hides the others.
    return max(enumerate(holding), key=lambda numbered: (numbered[1][0], numbered[0]))[1][1]
