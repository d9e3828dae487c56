"""The descriptor set alone is enough to make and to document a client."""

import os
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

API = "jobworker/v1/job_worker.proto"


@pytest.fixture
def files() -> dict[str, descriptor_pb2.FileDescriptorProto]:
    """The files of the set by name."""
    content = Path(os.environ["DESCRIPTOR_SET"]).read_bytes()
    return {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(content).file}


def test_it_holds_all_that_the_api_imports(files: dict[str, descriptor_pb2.FileDescriptorProto]) -> None:
    """A pool that knows nothing else takes the set and finds the service."""
    pool = descriptor_pool.DescriptorPool()
    for file in files.values():
        pool.Add(file)
    service = pool.FindServiceByName("jobworker.v1.JobWorkerService")
    assert [method.name for method in service.methods] == [
        "StartJob",
        "StopJob",
        "GetJob",
        "ListJobs",
        "ReadLogs",
        "DeleteJob",
    ]


def test_it_holds_the_comments(files: dict[str, descriptor_pb2.FileDescriptorProto]) -> None:
    """Every message of the API comes with the comment above it."""
    of_messages = 4  # the number of the field message_type in FileDescriptorProto
    locations = files[API].source_code_info.location
    commented = {tuple(location.path): location.leading_comments for location in locations}
    assert all(commented[of_messages, i].strip() for i in range(len(files[API].message_type)))
