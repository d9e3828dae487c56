"""Writes the reference of the API as Markdown; no I/O."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from apitool import comments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from apitool.comments import DocumentedError
    from apitool.errors import Reference
    from apitool.model import Api, Field, Method, Type

_WIDTH = 120
_INTRODUCTION = (
    "What `proto/jobworker/v1/job_worker.proto` says, with the daemon's table of roles and errors beside it.",
    "Made from these by `./bazelw run //proto:api_docs`, so edit the comments of the proto and not this file.",
)


def render(reference: Reference) -> str:
    """Returns the whole reference."""
    api = reference.api
    sections = [
        ["# API reference", *_wrapped(_INTRODUCTION)],
        [f"## {api.service}", _overview(reference), *_wrapped(reference.before), _common(reference)],
        [*_wrapped(reference.after)],
        ["### Reasons", *_wrapped([_REASONS]), _reasons(reference)],
        *(_method(reference, method) for method in api.methods),
        ["## Messages"],
        *(_type(each, api) for each in api.messages),
        ["## Enums"],
        *(_type(each, api) for each in api.enums),
    ]
    return "\n\n".join(block for section in sections for block in section) + "\n"


_REASONS = (
    "Each error of the service has one of these reasons in `google.rpc.ErrorInfo`, of the domain `jobworker`. The "
    "field is the one that `google.rpc.BadRequest` names, the metadata is ErrorInfo's."
)


def _overview(reference: Reference) -> str:
    rows = []
    for method in reference.api.methods:
        said, roles = reference.methods[method.name], reference.daemon.roles[method.path]
        answer = f"stream of {_link(method.response)}" if method.streams else _link(method.response)
        codes = dict.fromkeys(f"`{error.code}`" for error in said.errors)
        rows.append([_link(method.name), _quoted(roles), said.idempotent, answer, ", ".join(codes)])
    return _table(["RPC", "Role", "Idempotent", "Answers", "Errors of its own"], rows)


def _common(reference: Reference) -> str:
    return _errors([(error, reference.reasons(error)) for error in reference.common])


def _reasons(reference: Reference) -> str:
    every = tuple(reference.methods)
    rows = []
    for rule in reference.daemon.rules:
        where = reference.where(rule.reason)
        of = "every RPC" if where == every else ", ".join(map(_link, where))
        field = f"`{rule.field}`" if rule.field else ""
        rows.append([f"`{rule.reason}`", f"`{rule.code}`", field, _quoted(rule.metadata), of])
    return _table(["Reason", "Code", "Field", "Metadata", "Of"], sorted(rows))


def _method(reference: Reference, method: Method) -> list[str]:
    said = reference.methods[method.name]
    stream = "stream " if method.streams else ""
    return [
        f"## {method.name}",
        f"```proto\nrpc {method.name}({method.request}) returns ({stream}{method.response});\n```",
        *_wrapped(said.text),
        *_wrapped([f"**Role:** {' or '.join(f'`{role}`' for role in reference.daemon.roles[method.path])}."]),
        *_wrapped([f"**Idempotence:** {said.idempotence}"]),
        f"**Errors**, beside those of [every RPC](#{_anchor(reference.api.service)}):",
        _errors([(error, reference.reasons(error, method)) for error in said.errors]),
        *_wrapped(
            [f"Takes {_link(method.request)}, answers with {stream and 'a stream of '}{_link(method.response)}."]
        ),
    ]


def _errors(errors: Sequence[tuple[DocumentedError, tuple[str, ...]]]) -> str:
    rows = [[f"`{error.code}`", _quoted(reasons), _capital(error.meaning)] for error, reasons in errors]
    return _table(["Code", "Reasons", "Meaning, and what to do"], rows)


def _type(of: Type, api: Api) -> list[str]:
    blocks = [f"### {of.name}", *_wrapped(comments.paragraphs(of.comment))]
    for oneof in dict.fromkeys(field.oneof for field in of.fields if field.oneof):
        text = " ".join(comments.paragraphs(of.oneofs[oneof]))
        blocks += _wrapped([f"At most one of the fields of `{oneof}` is set. {text}"])
    typed = any(field.type for field in of.fields)
    rows = [_field(field, api, typed=typed) for field in of.fields]
    return [*blocks, _table(["Field", "Number", "Type", "Meaning"] if typed else ["Value", "Number", "Meaning"], rows)]


def _field(field: Field, api: Api, *, typed: bool) -> list[str]:
    meaning = " ".join(comments.paragraphs(field.comment))
    if not typed:
        return [f"`{field.name}`", str(field.number), meaning]
    label, _, name = field.type.rpartition(" ")
    known = {each.name for each in (*api.messages, *api.enums)}
    kind = f"{label} {_link(name) if name in known else f'`{name}`'}".strip()
    name = f"`{field.name}`, of `{field.oneof}`" if field.oneof else f"`{field.name}`"
    return [name, str(field.number), kind, meaning]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _wrapped(lines: Iterable[str]) -> Iterator[str]:
    """Yields paragraphs, and the items of a list together."""
    items: list[str] = []
    for line in lines:
        indent = "  " if line.startswith("* ") else ""
        text = textwrap.fill(line, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        if indent:
            items.append(text)
            continue
        if items:
            yield "\n".join(items)
            items = []
        yield text
    if items:
        yield "\n".join(items)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _link(name: str) -> str:
    return f"[{name}](#{_anchor(name)})"


def _anchor(heading: str) -> str:
    return heading.lower().replace(".", "")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
