"""An API as its descriptor has it, each element with the comment above it; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, final

from google.protobuf import descriptor_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    Path: TypeAlias = tuple[int, ...]

_File = descriptor_pb2.FileDescriptorProto
_Field = descriptor_pb2.FieldDescriptorProto
# Where the comments of an element stand: the numbers of the fields that lead to it, and its index in each.
_MESSAGES = _File.MESSAGE_TYPE_FIELD_NUMBER
_ENUMS = _File.ENUM_TYPE_FIELD_NUMBER
_SERVICES = _File.SERVICE_FIELD_NUMBER
_FIELDS = descriptor_pb2.DescriptorProto.FIELD_FIELD_NUMBER
_ONEOFS = descriptor_pb2.DescriptorProto.ONEOF_DECL_FIELD_NUMBER
_VALUES = descriptor_pb2.EnumDescriptorProto.VALUE_FIELD_NUMBER
_METHODS = descriptor_pb2.ServiceDescriptorProto.METHOD_FIELD_NUMBER


@final
@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message, or a value of an enum.

    Attributes:
        name: Its name.
        number: Its number.
        comment: What stands above it.
        type: Its type as the proto has it, such as `repeated string`; empty for the value of an enum.
        oneof: The oneof that it belongs to, if any.
    """

    name: str
    number: int
    comment: str
    type: str = ""
    oneof: str = ""


@final
@dataclass(frozen=True, slots=True)
class Type:
    """A message or an enum.

    Attributes:
        name: Its name.
        comment: What stands above it.
        fields: Its fields or values, in their order.
        oneofs: The comments of its oneofs, by name.
    """

    name: str
    comment: str
    fields: tuple[Field, ...]
    oneofs: Mapping[str, str]


@final
@dataclass(frozen=True, slots=True)
class Method:
    """A method of a service.

    Attributes:
        name: Its name.
        path: Its full name, as `/package.Service/Method`.
        comment: What stands above it.
        request: The name of the request's message.
        response: The name of the response's message.
        streams: Whether it answers with a stream of them.
    """

    name: str
    path: str
    comment: str
    request: str
    response: str
    streams: bool


@final
@dataclass(frozen=True, slots=True)
class Api:
    """One service with the messages and enums of its file.

    Attributes:
        service: The service's full name.
        comment: What stands above the service.
        methods: Its methods, in their order.
        messages: The file's messages, in their order.
        enums: The file's enums, in their order.
    """

    service: str
    comment: str
    methods: tuple[Method, ...]
    messages: tuple[Type, ...]
    enums: tuple[Type, ...]

    def fields(self, message: str) -> frozenset[str]:
        """Returns the names of a message's fields."""
        return frozenset(field.name for each in self.messages if each.name == message for field in each.fields)


def read(files: descriptor_pb2.FileDescriptorSet, name: str) -> Api:
    """Returns the API of a file, which has one service.

    Args:
        files: A descriptor set with source info.
        name: The file's name in it.

    Raises:
        LookupError: If the set has no such file; the caller's fault.
    """
    file = next((each for each in files.file if each.name == name), None)
    if file is None:
        raise LookupError(f"the descriptor set has no {name}")
    comments = {tuple(each.path): _unindented(each.leading_comments) for each in file.source_code_info.location}
    service = f"{file.package}.{file.service[0].name}"
    return Api(
        service,
        comments.get((_SERVICES, 0), ""),
        tuple(
            Method(
                each.name,
                f"/{service}/{each.name}",
                comments.get((_SERVICES, 0, _METHODS, i), ""),
                _local(each.input_type, file.package),
                _local(each.output_type, file.package),
                each.server_streaming,
            )
            for i, each in enumerate(file.service[0].method)
        ),
        tuple(_message(each, file.package, comments, (_MESSAGES, i)) for i, each in enumerate(file.message_type)),
        tuple(_enum(each, comments, (_ENUMS, i)) for i, each in enumerate(file.enum_type)),
    )


def _message(of: descriptor_pb2.DescriptorProto, package: str, comments: Mapping[Path, str], path: Path) -> Type:
    fields = tuple(
        Field(
            each.name,
            each.number,
            comments.get((*path, _FIELDS, i), ""),
            _type(each, package),
            of.oneof_decl[each.oneof_index].name if each.HasField("oneof_index") and not each.proto3_optional else "",
        )
        for i, each in enumerate(of.field)
    )
    oneofs = {each.name: comments.get((*path, _ONEOFS, i), "") for i, each in enumerate(of.oneof_decl)}
    return Type(of.name, comments.get(path, ""), fields, oneofs)


def _enum(of: descriptor_pb2.EnumDescriptorProto, comments: Mapping[Path, str], path: Path) -> Type:
    values = (Field(each.name, each.number, comments.get((*path, _VALUES, i), "")) for i, each in enumerate(of.value))
    return Type(of.name, comments.get(path, ""), tuple(values), {})


def _type(field: _Field, package: str) -> str:
    name = _local(field.type_name, package) or _Field.Type.Name(field.type).removeprefix("TYPE_").lower()
    if field.label == _Field.LABEL_REPEATED:
        return f"repeated {name}"
    return f"optional {name}" if field.proto3_optional else name


def _local(name: str, package: str) -> str:
    return name.removeprefix(".").removeprefix(f"{package}.")


def _unindented(comment: str) -> str:
    return "\n".join(line.removeprefix(" ").rstrip() for line in comment.splitlines()).strip()
