"""Writes an executable zip: the same bytes for the same files."""

import hashlib
import io
import sys
import zipfile
from pathlib import Path

_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")

# The zip format's earliest date, for every file.
_DATE = (1980, 1, 1, 0, 0, 0)


def _digest(parts: list[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:32]


def _bootstrap(files: dict[str, bytes], main_module: str, imports: str, python: str) -> bytes:
    content = [part for target, source in files.items() for part in (target.encode(), source)]
    values = {
        "@DIGEST@": _digest([main_module.encode(), imports.encode(), python.encode(), *content]),
        "@IMPORTS@": imports,
        "@MAIN@": main_module,
        "@PYTHON@": python,
    }
    text = _BOOTSTRAP.read_text()
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text.encode()


def _add(archive: zipfile.ZipFile, target: str, content: bytes, compression: int) -> None:
    info = zipfile.ZipInfo(target, _DATE)
    info.compress_type = compression
    info.external_attr = 0o644 << 16
    archive.writestr(info, content, compresslevel=6)


def main() -> None:
    """Packs what the parameter file lists: output, main file, import roots, and then a TARGET=SOURCE for each file."""
    out, main_module, imports, *entries = Path(sys.argv[1].removeprefix("@")).read_text().splitlines()
    pairs = (entry.split("=", 1) for entry in sorted(entries))
    files = {target: Path(source).read_bytes() for target, source in pairs}
    # This runs on the interpreter that the packed wheels were chosen for.
    python = "{}.{}".format(*sys.version_info)
    bootstrap = _bootstrap(files, main_module, imports, python)

    # Python reads the names of all that is in the archive it starts, 2 ms for 560 files; these are in one of their own.
    payload = io.BytesIO()
    with zipfile.ZipFile(payload, "w") as archive:
        for target, content in files.items():
            _add(archive, target, content, zipfile.ZIP_DEFLATED)
    with Path(out).open("wb") as stream:
        stream.write(f"#!/usr/bin/env -S python{python} -IS\n".encode())
        with zipfile.ZipFile(stream, "w") as archive:
            _add(archive, "__main__.py", bootstrap, zipfile.ZIP_DEFLATED)
            _add(archive, "payload.zip", payload.getvalue(), zipfile.ZIP_STORED)
    Path(out).chmod(0o755)


if __name__ == "__main__":
    main()
