"""Server reflection, as grpc.reflection.v1alpha and as v1, which clients ask for first and grpcio does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection, reflection_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobworker.daemon.methods import Methods

V1 = "grpc.reflection.v1.ServerReflection"
V1ALPHA = "grpc.reflection.v1alpha.ServerReflection"

_PACKAGE_V1 = "grpc.reflection.v1"
_PACKAGE_V1ALPHA = "grpc.reflection.v1alpha"


def add_reflection(services: Iterable[str], methods: Methods) -> None:
    """Adds both versions of server reflection to the methods to serve.

    Args:
        services: The full names of the services to tell of, beside reflection itself.
        methods: Where to add.
    """
    _describe_v1()
    servicer = reflection.aio.ReflectionServicer((*services, V1, V1ALPHA))
    # The two versions differ in their package's name alone, so the bytes on the wire are the same.
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for service in (V1, V1ALPHA):
        methods.add_registered_method_handlers(service, {"ServerReflectionInfo": handler})


def _describe_v1() -> None:
    """Puts v1's description into the pool that reflection tells from."""
    file = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    file.name = "grpc/reflection/v1/reflection.proto"
    file.package = _PACKAGE_V1
    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = _in_v1(field.type_name)
    for method in file.service[0].method:
        method.input_type = _in_v1(method.input_type)
        method.output_type = _in_v1(method.output_type)
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())


def _in_v1(type_name: str) -> str:
    return type_name.replace(f".{_PACKAGE_V1ALPHA}.", f".{_PACKAGE_V1}.")
