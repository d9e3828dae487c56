"""Runs the CLI as a program."""

import os
import signal
import sys

from jobworker.cli.app import main

if __name__ == "__main__":
    # Whoever closes the pipe, as head does, ends this program as it ends cat: quietly.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # Everything is written by now; to take gRPC and the interpreter down in order would only cost the user time.
    os._exit(main(sys.argv[1:]))
