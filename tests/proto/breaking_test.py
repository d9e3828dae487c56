"""What a released version's clients were built on stays: buf holds the API against each version's baseline."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from google.protobuf import descriptor_pb2

from bazel.lint import programs
from jobworker import daemon

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[descriptor_pb2.FileDescriptorProto], object]

BASELINES = sorted(
    Path("proto/baselines").glob("*.binpb"), key=lambda path: [int(number) for number in path.stem.split(".")]
)
NEWEST = BASELINES[-1]
API = "jobworker/v1/job_worker.proto"


def breaks(current: Path, baseline: Path, scratch: Path) -> str:
    """Returns what buf finds broken in a descriptor set that a baseline has; empty if nothing is."""
    command: list[str | Path] = [programs.path("buf-bin", "buf"), "breaking", current.absolute()]
    command += ["--against", baseline.absolute(), "--config", Path("proto/buf.yaml").absolute()]
    environment = {"BUF_CACHE_DIR": str(scratch), "PATH": os.environ["PATH"]}
    run = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, check=False, text=True)
    assert run.stderr == ""
    assert (run.returncode == 0) == (run.stdout == "")
    return run.stdout


def message(file: descriptor_pb2.FileDescriptorProto, name: str) -> descriptor_pb2.DescriptorProto:
    """Returns a message of a file."""
    found: descriptor_pb2.DescriptorProto = next(each for each in file.message_type if each.name == name)
    return found


def changed(change: Change, scratch: Path) -> Path:
    """Returns a copy of the newest baseline with a change to the API."""
    files = descriptor_pb2.FileDescriptorSet.FromString(NEWEST.read_bytes())
    change(next(file for file in files.file if file.name == API))
    copy = scratch / "changed.binpb"
    copy.write_bytes(files.SerializeToString())
    return copy


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda path: path.stem)
def test_the_api_breaks_no_version(baseline: Path, tmp_path: Path) -> None:
    """Whatever a client of that version does goes on to compile, and to mean the same on the wire."""
    assert breaks(Path(os.environ["DESCRIPTOR_SET"]), baseline, tmp_path) == ""


def test_the_daemons_version_has_a_baseline() -> None:
    """None can be released, or raised, without one."""
    assert f"{daemon.__version__}.binpb" in [path.name for path in BASELINES]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(
            lambda file: message(file, "Job").field.pop(), 'field "14" with name "principal"', id="field gone"
        ),
        pytest.param(
            lambda file: setattr(message(file, "Job").field[0], "number", 99), 'field "1" with name "id"', id="number"
        ),
        pytest.param(lambda file: setattr(message(file, "Job").field[0], "name", "uuid"), '"uuid"', id="field's name"),
        pytest.param(
            lambda file: setattr(
                message(file, "LogData").field[0], "type", descriptor_pb2.FieldDescriptorProto.TYPE_INT32
            ),
            'type from "int64" to "int32"',
            id="field's type",
        ),
        pytest.param(
            lambda file: file.enum_type[0].value.pop(), 'enum value "4" on enum "JobState"', id="enum value gone"
        ),
        pytest.param(lambda file: file.service[0].method.pop(), '"DeleteJob"', id="method gone"),
        pytest.param(
            lambda file: setattr(file.service[0].method[4], "server_streaming", False), "streaming", id="streaming"
        ),
        pytest.param(lambda file: setattr(file.options, "go_package", "elsewhere"), '"go_package"', id="go_package"),
        pytest.param(
            lambda file: setattr(file.options, "java_package", "elsewhere"), '"java_package"', id="java_package"
        ),
    ],
)
def test_a_break_is_refused(change: Change, told: str, tmp_path: Path) -> None:
    """The check sees each kind of change that a client would break by, and says where it is."""
    found = breaks(changed(change, tmp_path), NEWEST, tmp_path)
    assert told in found


def test_an_addition_is_not(tmp_path: Path) -> None:
    """A new field is what old clients pass over."""

    def add(file: descriptor_pb2.FileDescriptorProto) -> None:
        message(file, "Job").field.add(name="host", number=99, type="TYPE_STRING", label="LABEL_OPTIONAL")

    assert breaks(changed(add, tmp_path), NEWEST, tmp_path) == ""
