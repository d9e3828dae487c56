"""Unpacks wheel/*.whl of the working directory and writes the BUILD file of its repository.

The tree is the wheel's own, laid out as rules_python lays it out: site-packages/, bin/, include/ and data/. Bytecode
is all that is added, and that depends on the interpreter alone. It runs where nothing but pip is installed.
"""

import argparse
import compileall
import re
import zipfile
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from py_compile import PycInvalidationMode

from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

_BUILD = """\
load("@rules_python//python:defs.bzl", "py_library")

package(default_visibility = ["//visibility:public"])

py_library(
    name = "pkg",
    srcs = glob(["site-packages/**/*.py"], allow_empty = True),
    data = [":data"] + glob(["site-packages/**"], exclude = ["**/*.py", "**/* *"], allow_empty = True),
    imports = ["site-packages"],
    deps = {deps},
)

filegroup(
    name = "data",
    srcs = glob(["bin/**", "data/**", "include/**"], allow_empty = True),
)

filegroup(
    name = "dist_info",
    srcs = glob(["site-packages/*.dist-info/**"], allow_empty = True),
)

exports_files(glob(["**"], exclude = ["**/* *"]))
"""

# Where the parts of a wheel's NAME.data directory go; what is not named here keeps its own name.
_SCHEMES = {"headers": "include", "platlib": "site-packages", "purelib": "site-packages", "scripts": "bin"}

_EXECUTABLE = 0o111


def destination(member: str) -> Path:
    """Returns the path in the repository for a path in the wheel.

    Raises:
        SystemExit: the path would lead out of the repository.
    """
    path = PurePosixPath(member)
    if path.is_absolute() or ".." in path.parts:
        raise SystemExit(f"the wheel reaches outside itself: {member}")
    top, *rest = path.parts
    if top.endswith(".data"):
        return Path(_SCHEMES.get(rest[0], rest[0]), *rest[1:])
    return Path("site-packages", top, *rest)


def unpack(wheel: Path) -> str:
    """Unpacks a wheel into the working directory and returns its METADATA."""
    metadata = ""
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            target = destination(info.filename)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(info))
            executable = target.parts[0] == "bin" or info.external_attr >> 16 & _EXECUTABLE
            target.chmod(0o755 if executable else 0o644)
            if re.fullmatch(r"[^/]+\.dist-info/METADATA", info.filename):
                metadata = archive.read(info).decode()
    return metadata


def dependencies(metadata: str, extras: set[str]) -> set[str]:
    """Returns the distributions that METADATA requires with these extras, on this interpreter and machine."""
    required = map(Requirement, HeaderParser().parsestr(metadata).get_all("Requires-Dist", []))
    return {
        canonicalize_name(requirement.name).replace("-", "_")
        for requirement in required
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras | {""})
    }


def main() -> None:
    """Unpacks the one wheel.

    Raises:
        SystemExit: there is not one wheel, or it needs what the lock file lacks.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--hub", required=True)
    parser.add_argument("--requirement", action="append", required=True)
    parser.add_argument("packages", nargs="*")
    options = parser.parse_args()

    wheels = list(Path("wheel").glob("*.whl"))
    if len(wheels) != 1:
        raise SystemExit(f"{options.requirement} gave {len(wheels)} wheels on this interpreter and machine")
    extras = {extra for line in options.requirement for extra in Requirement(line).extras}
    needed = dependencies(unpack(wheels[0]), extras)
    missing = needed - set(options.packages)
    if missing:
        raise SystemExit(f"{wheels[0].name} needs what the lock file lacks: {sorted(missing)}")

    # Bazel's sandbox could not keep what an import compiles, so every start would do it again.
    compileall.compile_dir(
        "site-packages",
        quiet=2,
        stripdir="site-packages",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    deps = [f"@{options.hub}//{name}" for name in sorted(needed)]
    Path("BUILD.bazel").write_text(_BUILD.format(deps=deps))


if __name__ == "__main__":
    main()
