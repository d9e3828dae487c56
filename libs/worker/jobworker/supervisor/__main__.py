"""Entry point: `python -IS .../jobworker/supervisor/__main__.py DESCRIPTOR [DIRECTORY]`."""

import os
import sys

# Run by path and isolated, so that it sees the standard library and the import root that it lies in, nothing else.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from jobworker.supervisor.main import main

if __name__ == "__main__":
    main(sys.argv[1:])
