"""The programs that wheels carry beside their modules."""

from importlib.metadata import distribution
from pathlib import Path


def path(wheel: str, name: str) -> Path:
    """Returns the absolute path of a program.

    Args:
        wheel: the name of the distribution that carries it.
        name: the program's own name.
    """
    return Path(str(distribution(wheel).locate_file(f"../bin/{name}"))).absolute()
