"""The archive for who vendors the API holds all that it takes, and is the same wherever it is made."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from apitool import archive
from google.protobuf import descriptor_pb2

from jobworker import daemon

ROOT = f"jobworker-api-{daemon.__version__}"
API = "proto/jobworker/v1/job_worker.proto"


@pytest.fixture
def release() -> dict[str, bytes]:
    """What each file of the built archive holds, by its path in the archive's folder."""
    with tarfile.open(os.environ["RELEASE"], "r:gz") as packed:
        return {
            entry.name.removeprefix(f"{ROOT}/"): file.read()
            for entry in packed.getmembers()
            if (file := packed.extractfile(entry)) is not None
        }


def test_it_holds_what_a_client_needs(release: dict[str, bytes]) -> None:
    """The protos with all that they import, the descriptor set, the service config, the docs, and what is allowed."""
    assert sorted(release) == [
        "LICENSE",
        "README.md",
        "descriptor_set.binpb",
        "docs/api.md",
        "proto/google/protobuf/duration.proto",
        "proto/google/protobuf/timestamp.proto",
        API,
        "proto/jobworker/v1/service_config.json",
    ]


def test_its_files_are_those_of_the_tree(release: dict[str, bytes]) -> None:
    """What is vendored is what is tested."""
    same = {path: path for path in ("docs/api.md", "LICENSE", API, "proto/jobworker/v1/service_config.json")}
    for path, source in {**same, "README.md": "proto/README.md"}.items():
        assert release[path] == Path(source).read_bytes()
    assert release["descriptor_set.binpb"] == Path(os.environ["DESCRIPTOR_SET"]).read_bytes()


def test_its_protos_are_enough(release: dict[str, bytes], tmp_path: Path) -> None:
    """Protoc makes of them alone, without its own copies of Google's, the very API that the descriptor set has."""
    for path, content in release.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    # Run as a module, it would add its own copies.
    program = "import sys; from grpc_tools import protoc; sys.exit(protoc.main(sys.argv))"
    command = [sys.executable, "-c", program, "-Iproto", "--include_imports", "--descriptor_set_out=made", API]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    made = descriptor_pb2.FileDescriptorSet.FromString((tmp_path / "made").read_bytes())
    told = descriptor_pb2.FileDescriptorSet.FromString(release["descriptor_set.binpb"])
    for file in told.file:
        file.ClearField("source_code_info")
    assert {file.name: file for file in made.file} == {file.name: file for file in told.file}


def test_nothing_in_it_depends_on_where_it_was_made(release: dict[str, bytes]) -> None:
    """Packed again it has the same bytes: no times, no owners, no order but that of the names."""
    assert archive.pack(ROOT, dict(reversed(release.items()))) == Path(os.environ["RELEASE"]).read_bytes()
    with tarfile.open(os.environ["RELEASE"], "r:gz") as packed:
        entries = packed.getmembers()
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname, entry.mode) for entry in entries} == {
        (315_532_800, 0, 0, "", "", 0o644)
    }
    assert all(entry.isfile() for entry in entries)


def test_the_program_packs_what_it_is_told(tmp_path: Path) -> None:
    """Its folder carries the version, and a file without one is told of."""
    (tmp_path / "version.py").write_text('"""Doc."""\n\n__version__ = "1.2.3"\n')
    (tmp_path / "a").write_bytes(b"\0a")
    target = tmp_path / "out.tar.gz"
    assert archive.main([str(target), str(tmp_path / "version.py"), f"some/where={tmp_path / 'a'}"]) == 0
    with tarfile.open(fileobj=io.BytesIO(target.read_bytes())) as packed:
        assert packed.getnames() == ["jobworker-api-1.2.3/some/where"]
    assert archive.main([str(target), str(tmp_path / "a"), f"a={tmp_path / 'a'}"]) == 1
