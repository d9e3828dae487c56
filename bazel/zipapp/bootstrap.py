"""Starts the program in the zip that this file is the __main__ of.

Extension modules can't be loaded from a zip, so the first start unpacks it, once for each version of it. The program
then runs in this very process, which keeps signals simple.
"""

import os
import sys

PYTHON = "@PYTHON@"
IMPORTS = "@IMPORTS@"
ARCHIVE = sys.path.pop(0)
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "zipapp")
ROOT = os.path.join(CACHE, "@DIGEST@")


def unpack() -> None:
    """Unpacks the archive to ROOT, all at once or not at all."""
    # Every start but the first does without these, and is 20 ms faster for it.
    import shutil  # noqa: PLC0415
    import tempfile  # noqa: PLC0415
    import zipfile  # noqa: PLC0415

    os.makedirs(CACHE, mode=0o700, exist_ok=True)
    fresh = tempfile.mkdtemp(dir=CACHE)
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(fresh)
    try:
        os.rename(fresh, ROOT)
    except OSError:  # another start was faster
        shutil.rmtree(fresh)


if ".".join(map(str, sys.version_info[:2])) != PYTHON:
    sys.exit(f"{ARCHIVE} needs Python {PYTHON}, for which it was built")
if not os.path.isdir(ROOT):
    unpack()
sys.path[:0] = [os.path.join(ROOT, path) for path in IMPORTS.split(":")]
__file__ = os.path.join(ROOT, "@MAIN@")
with open(__file__, "rb") as file:
    exec(compile(file.read(), __file__, "exec"))  # noqa: S102 - it is what this archive was packed for
