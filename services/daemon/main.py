"""Runs the daemon as the program worker-daemon."""

# ruff: noqa: INP001 - a program, not a module

import sys

from jobworker.daemon.app import main

if __name__ == "__main__":
    sys.exit(main())
