"""Fails, and names the Python files that are in no target of their package: nothing would check them."""

import sys

if __name__ == "__main__":
    sys.exit("in no target's srcs, so checked by neither mypy nor ruff: " + ", ".join(sys.argv[1:]))
