"""Writes the reference of the API.

Usage:
  docs <descriptor-set> <file>
  docs -h | --help

The descriptor set has to have source info.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import docopt
from google.protobuf import descriptor_pb2

from apitool import errors, markdown, model, tables

API = "jobworker/v1/job_worker.proto"
"""The file of the API in the descriptor set."""


def reference(content: bytes) -> errors.Reference:
    """Returns what a descriptor set and the daemon say together.

    Raises:
        CommentError: If a comment does not keep to its form.
        LookupError: If the set is not that of the API.
    """
    files = descriptor_pb2.FileDescriptorSet.FromString(content)
    return errors.Reference(model.read(files, API), tables.of_daemon())


def main(argv: list[str]) -> int:
    """Writes the file that argv names.

    Returns:
        The exit code: 0, or 1 if proto and daemon disagree.
    """
    options = docopt.docopt(__doc__ or "", argv)
    of = reference(Path(options["<descriptor-set>"]).read_bytes())
    problems = list(of.problems())
    for problem in problems:
        print(f"docs: {problem}", file=sys.stderr)
    if problems:
        return 1
    # Under `bazel run` the working directory is not the tree.
    target = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", ""), options["<file>"])
    target.write_text(markdown.render(of))
    print(f"wrote {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
