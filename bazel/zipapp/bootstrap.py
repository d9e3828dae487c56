"""Starts the program in the zip that this file is the __main__ of.

Extension modules can't be loaded from a zip, so the first start unpacks the payload, once for each version of it. The
program then runs in this very process, which keeps signals simple.
"""

import os
import sys

PYTHON = "@PYTHON@"
IMPORTS = "@IMPORTS@"
ARCHIVE = sys.path.pop(0)
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "zipapp")
ROOT = os.path.join(CACHE, "@DIGEST@")


def unpack() -> None:
    """Unpacks the payload to ROOT, all at once or not at all."""
    # Every start but the first does without these, and is 20 ms faster for it.
    import io  # noqa: PLC0415
    import shutil  # noqa: PLC0415
    import tempfile  # noqa: PLC0415
    import zipfile  # noqa: PLC0415

    os.makedirs(CACHE, mode=0o700, exist_ok=True)
    fresh = tempfile.mkdtemp(dir=CACHE)
    with zipfile.ZipFile(ARCHIVE) as archive:
        payload = archive.read("payload.zip")
    with zipfile.ZipFile(io.BytesIO(payload)) as files:
        files.extractall(fresh)
    try:
        os.rename(fresh, ROOT)
    except OSError:  # another start was faster
        shutil.rmtree(fresh)


def import_paths() -> list[str]:
    """Returns where to import from: the standard library, then what was packed, then whatever else there is.

    Each import looks into every folder before the right one. Most are of the standard library, so it comes first, as it
    does before site-packages: 1 ms of the start of worker-cli, and 7 ms of that of worker-daemon.
    """
    library = os.path.dirname(os.__file__)
    standard = [path for path in sys.path if path in (library, os.path.join(library, "lib-dynload"))]
    packed = [os.path.join(ROOT, path) for path in IMPORTS.split(":")]
    return [*standard, *packed, *(path for path in sys.path if path not in standard)]


if ".".join(map(str, sys.version_info[:2])) != PYTHON:
    sys.exit(f"{ARCHIVE} needs Python {PYTHON}, for which it was built")
if not os.path.isdir(ROOT):
    unpack()
sys.path[:] = import_paths()
__file__ = os.path.join(ROOT, "@MAIN@")
with open(__file__, "rb") as file:
    exec(compile(file.read(), __file__, "exec"))  # noqa: S102 - it is what this archive was packed for
