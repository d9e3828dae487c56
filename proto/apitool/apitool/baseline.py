"""Keeps the API of a released version, for later ones to be held against.

Usage:
  baseline <descriptor-set> <folder> [<version>]
  baseline -h | --help

The version is the daemon's own unless it is given. A baseline that is there already is not replaced.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import docopt
from google.protobuf import descriptor_pb2

from jobworker import daemon


def without_comments(content: bytes) -> bytes:
    """Returns a descriptor set without what says where things stand in the source, which no client depends on."""
    files = descriptor_pb2.FileDescriptorSet.FromString(content)
    for file in files.file:
        file.ClearField("source_code_info")
    kept: bytes = files.SerializeToString(deterministic=True)
    return kept


def main(argv: list[str]) -> int:
    """Writes a version's baseline to the folder that argv names.

    Returns:
        The exit code: 0, or 1 if there is one already.
    """
    options = docopt.docopt(__doc__ or "", argv)
    version = options["<version>"] or daemon.__version__
    # Under `bazel run` the working directory is not the tree.
    folder = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", ""), options["<folder>"])
    target = folder / f"{version}.binpb"
    try:
        with target.open("xb") as file:
            file.write(without_comments(Path(options["<descriptor-set>"]).read_bytes()))
    except FileExistsError:
        print(f"baseline: {target} is there already; what was released does not change", file=sys.stderr)
        return 1
    print(f"wrote {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
