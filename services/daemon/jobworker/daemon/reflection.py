"""Server reflection, as grpc.reflection.v1alpha and as v1, which clients ask for first and grpcio does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection, reflection_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor

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
    servicer = reflection.aio.ReflectionServicer((*services, V1, V1ALPHA), _Pool())
    # The two versions differ in their package's name alone, so the bytes on the wire are the same.
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for service in (V1, V1ALPHA):
        methods.add_registered_method_handlers(service, {"ServerReflectionInfo": handler})


@final
class _Pool:
    """The default pool, for reflection, which also asks it for methods by name: `grpcurl describe` does."""

    def __init__(self) -> None:
        self._pool = descriptor_pool.Default()

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            # protobuf's own, as of 7.36, finds all symbols but methods.
            return self._pool.FindMethodByName(symbol).containing_service.file

    def FindFileByName(self, file_name: str) -> FileDescriptor:  # noqa: N802
        return self._pool.FindFileByName(file_name)

    def FindMessageTypeByName(self, full_name: str) -> Descriptor:  # noqa: N802
        return self._pool.FindMessageTypeByName(full_name)

    def FindExtensionByNumber(self, message: Descriptor, number: int) -> FieldDescriptor:  # noqa: N802
        return self._pool.FindExtensionByNumber(message, number)

    def FindAllExtensions(self, message: Descriptor) -> list[FieldDescriptor]:  # noqa: N802
        return self._pool.FindAllExtensions(message)


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
