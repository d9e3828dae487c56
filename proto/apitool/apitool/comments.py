"""Takes apart the comments of the service and of its methods, which keep to one form; no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY_METHOD = "These may come from every method:"
"""How the paragraph ends, in the service's comment, that the errors of every method follow."""

_ERRORS = "Errors, beside those that every method has:"
_ROLE = re.compile(r"^Required role: (.+)\.$")
_NAME = re.compile(r"`([A-Z_]+)`")
_IDEMPOTENCE = re.compile(r"^(Not idempotent|Idempotent)\b")
_ERROR = re.compile(r"^`(?P<code>[A-Z_]+)`(?: with the reason `(?P<reason>[A-Z_]+)`)?: (?P<meaning>.+)$")


class CommentError(Exception):
    """A comment does not keep to the form; whoever wrote it has to mend it."""


@final
@dataclass(frozen=True, slots=True)
class DocumentedError:
    """An error that a comment tells of.

    Attributes:
        code: The gRPC status code's name.
        reason: The reason, if this is about one alone.
        meaning: What it means and what to do, as one line.
    """

    code: str
    reason: str
    meaning: str


@final
@dataclass(frozen=True, slots=True)
class MethodComment:
    """What the comment of a method says.

    Attributes:
        text: What it does: the paragraphs before and beside those below.
        roles: The roles that may call it.
        idempotence: Whether it may be repeated, and how.
        errors: What it may answer with, beside what every method may.
    """

    text: tuple[str, ...]
    roles: frozenset[str]
    idempotence: str
    errors: tuple[DocumentedError, ...]

    @property
    def idempotent(self) -> str:
        """The idempotence in a few words: its first clause."""
        return re.split(r"[.:,]", self.idempotence, maxsplit=1)[0]


def paragraphs(comment: str) -> Iterator[str]:
    """Yields the paragraphs of a comment; each is one line, and so is each item of a list."""
    for block in re.split(r"\n\s*\n", comment):
        for part in re.split(r"\n(?=\* )", block):
            if line := " ".join(part.split()):
                yield line


def of_method(comment: str) -> MethodComment:
    """Takes apart the comment of a method.

    Raises:
        CommentError: If it does not name the roles, the idempotence and the errors, once each.
    """
    lines = list(paragraphs(comment))
    roles = [line for line in lines if _ROLE.match(line)]
    idempotence = [line for line in lines if _IDEMPOTENCE.match(line)]
    if len(roles) != 1 or len(idempotence) != 1 or lines.count(_ERRORS) != 1:
        wanted = f"one 'Required role:', one 'Idempotent' or 'Not idempotent', and one '{_ERRORS}'"
        raise CommentError(f"the comment that begins {comment[:60]!r} must have {wanted}")
    start = lines.index(_ERRORS)
    text = tuple(line for line in lines[:start] if line not in (*roles, *idempotence))
    return MethodComment(
        text, frozenset(_NAME.findall(roles[0])), idempotence[0], tuple(map(_error, lines[start + 1 :]))
    )


def of_service(comment: str) -> tuple[tuple[str, ...], tuple[DocumentedError, ...], tuple[str, ...]]:
    """Takes apart the comment of the service.

    Returns:
        The paragraphs before the errors of every method, these errors, and the paragraphs after them.

    Raises:
        CommentError: If nothing says where these errors begin.
    """
    lines = list(paragraphs(comment))
    start = next((i for i, line in enumerate(lines, 1) if line.endswith(EVERY_METHOD)), None)
    if start is None:
        raise CommentError(f"the service's comment must have a paragraph that ends with {EVERY_METHOD!r}")
    end = next((i for i in range(start, len(lines)) if not lines[i].startswith("* ")), len(lines))
    return tuple(lines[:start]), tuple(map(_error, lines[start:end])), tuple(lines[end:])


def _error(line: str) -> DocumentedError:
    match = _ERROR.match(line.removeprefix("* "))
    if not line.startswith("* ") or match is None:
        raise CommentError(f"an error is told as '* `CODE`: …' or '* `CODE` with the reason `REASON`: …', not {line!r}")
    return DocumentedError(match["code"], match["reason"] or "", match["meaning"])


def names(lines: tuple[str, ...]) -> Iterator[str]:
    """Yields what stands in backticks and capitals: reasons, codes, roles."""
    for line in lines:
        yield from _NAME.findall(line)
