"""What the Python client's errors say, and which settings it refuses; and what each of its modules brings along."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

import jobworker.client
from jobworker.client import CallError, Client, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from google.protobuf.message import Message

    from cli_testing import Folder


def packed(message: Message) -> Any:
    """Returns a detail as it is sent."""
    detail = Any()
    detail.Pack(message)
    return detail


def test_the_details_of_an_error_are_read() -> None:
    """Programs tell errors apart by what the daemon says for them, whatever the order of the details."""
    violation = error_details_pb2.BadRequest.FieldViolation(field="offset")
    status = status_pb2.Status(
        details=[
            packed(error_details_pb2.RetryInfo()),
            packed(error_details_pb2.BadRequest(field_violations=[violation])),
            packed(error_details_pb2.ErrorInfo(reason="OFFSET_OUT_OF_RANGE", metadata={"size": "3"})),
        ]
    )
    error = CallError(StatusCode.OUT_OF_RANGE, "too far", status.SerializeToString())
    assert (error.reason, error.field, error.metadata) == ("OFFSET_OUT_OF_RANGE", "offset", {"size": "3"})
    assert str(error) == "OUT_OF_RANGE: too far"


def test_an_error_without_details_has_none() -> None:
    """What gRPC itself says has a code and a text."""
    error = CallError(StatusCode.UNAVAILABLE, "away")
    assert (error.reason, error.field, error.metadata) == ("", "", {})


@pytest.mark.parametrize("address", ["", "localhost", "localhost:0", "localhost:65536", "unix:/x:1", ":1", "[::1]"])
def test_an_address_that_is_none_is_refused(folder: Folder, address: str) -> None:
    """It is told at once, rather than looked up."""
    with pytest.raises(SettingsError, match="is not an address; give host:port"):
        Client.connect(address, ca=folder.ca, cert=folder.cert, key=folder.key)


@pytest.mark.parametrize("file", ["ca", "cert", "key"])
def test_a_file_that_cannot_be_used_is_named(folder: Folder, tmp_path: Path, file: str) -> None:
    """One that is missing, a folder, or holds something else; of an empty CA gRPC would make the system's."""
    empty = tmp_path / "empty.pem"
    empty.touch()
    for path, problem in [(tmp_path / "gone.pem", "does not exist"), (tmp_path, "cannot read"), (empty, "is not PEM")]:
        files = {"ca": folder.ca, "cert": folder.cert, "key": folder.key, file: path}
        with pytest.raises(SettingsError, match=problem) as error:
            Client.connect("localhost:1", ca=files["ca"], cert=files["cert"], key=files["key"])
        assert str(path) in str(error.value)


def test_all_that_the_package_names_is_there() -> None:
    """Names are looked for with their first use, so nothing else would notice."""
    assert all(getattr(jobworker.client, name) for name in jobworker.client.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Clint'"):
        _ = jobworker.client.Clint


@pytest.mark.parametrize(
    ("name", "unwanted"),
    [
        (
            "Client",
            "{'jobworker.client.aio', 'jobworker.client.reading', 'jobworker.client.request_ids', 'google.rpc'}",
        ),
        ("require_tls_1_3", "{'grpc'}"),
    ],
)
def test_nobody_waits_for_what_is_not_used(name: str, unwanted: str) -> None:
    """The command line's start-up time is that of what the synchronous face imports."""
    program = f"import sys; from jobworker.client import {name}; sys.exit(str({unwanted} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": ":".join(sys.path)}, stderr=-1, check=False
    )
    assert done.stderr.decode().strip() == "set()"
