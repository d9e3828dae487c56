"""Runs the daemon: `python -m jobworker.daemon`."""

import sys

from jobworker.daemon.app import main

if __name__ == "__main__":
    sys.exit(main())
