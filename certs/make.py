"""Makes a fresh set of development certificates, their keys, and a role table.

Usage:
  make <dir>
  make -h | --help

Files are never overwritten. The keys are not encrypted: for development only.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import docopt

import devcerts


def main(argv: list[str]) -> int:
    """Makes the set in the directory that argv names and prints what to know of it.

    Returns:
        The exit code: 0, or 1 if the set could not be written, or 2 for wrong usage.
    """
    try:
        options = docopt.docopt(__doc__ or "", argv)
    except docopt.DocoptExit:
        return _fail("expected one directory to write to: make DIR", 2)
    # Under `bazel run` the working directory is not where the user typed the command.
    directory = Path(os.environ.get("BUILD_WORKING_DIRECTORY", ""), options["<dir>"])
    try:
        made = _make(directory)
    except devcerts.AlreadyThereError as error:
        return _fail(f"{error}; name another directory or remove it first", 1)
    except OSError as error:
        return _fail(f"cannot write to {directory}: {error.strerror}", 1)
    print(_report(directory, made))
    return 0


def _make(directory: Path) -> devcerts.DevelopmentSet:
    devcerts.refuse_existing(directory, devcerts.FILE_NAMES)
    made = devcerts.DevelopmentSet.make()
    made.write(directory)
    return made


def _report(directory: Path, made: devcerts.DevelopmentSet) -> str:
    identities = {"ca": made.ca, "server": made.server, "client": made.client, "viewer": made.viewer}
    prints = "\n".join(f"{name:8}{identity.fingerprint}" for name, identity in identities.items())
    return (
        f"Made {len(devcerts.FILE_NAMES)} files in {directory.resolve()}.\n\n"
        f"SHA-256 fingerprints of the certificates:\n\n{prints}\n\n"
        f"The role table, roles.toml:\n\n{made.roles_toml().rstrip()}"
    )


def _fail(message: str, code: int) -> int:
    print(f"make: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
