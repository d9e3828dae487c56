"""Small modules, small functions, and a word on all that is public: what a reader may count on everywhere."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDERS = [
    "clients/python/jobworker/client",
    "libs/worker/jobworker",
    "services/daemon/jobworker/daemon",
    "tools/cli/jobworker/cli",
]
LONGEST_MODULE = 300
LONGEST_BODY = 40

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    """Returns all modules of the product."""
    found = {folder: sorted(Path(folder).rglob("*.py")) for folder in FOLDERS}
    assert all(found.values()), f"no sources where they were: {found}"
    return [path for paths in found.values() for path in paths]


def functions(path: Path) -> Iterator[Function]:
    """Yields all functions of a module, methods and nested ones included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def body_lines(function: Function) -> int:
    """Returns how many lines a function's body has, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def public(node: ast.Module | ast.ClassDef, name: str) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Yields what is public in a module or class, with full names; what has two underscores explains itself."""
    for child in node.body:
        if isinstance(child, Function | ast.ClassDef) and not child.name.startswith("_"):
            yield f"{name}.{child.name}", child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{name}.{child.name}")


def all_public(path: Path) -> dict[str, Function | ast.ClassDef]:
    """Returns what is public in a module."""
    return dict(public(ast.parse(path.read_text()), str(path)))


def raised(function: Function) -> set[str]:
    """Returns the names of the errors that a function raises by itself."""
    found = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and node.exc is not None:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            found.add(ast.unparse(error).rpartition(".")[2])
    return {name for name in found if name[:1].isupper()} - {"StopAsyncIteration", "SystemExit"}


def said_elsewhere(function: Function) -> bool:
    """Whether an interface says what a function raises: a protocol that its docstring names, or the proto of an RPC."""
    return (ast.get_docstring(function) or "").startswith("See `") or function.name[0].isupper()


@pytest.mark.parametrize("path", modules(), ids=str)
def test_a_module_is_short(path: Path) -> None:
    """One that is not does more than one thing."""
    assert len(path.read_text().splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("path", modules(), ids=str)
def test_functions_are_short(path: Path) -> None:
    """A body fits on a screen."""
    lengths = {function.name: body_lines(function) for function in functions(path)}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_BODY} == {}


@pytest.mark.parametrize("path", modules(), ids=str)
def test_all_that_is_public_has_a_docstring(path: Path) -> None:
    """Modules, classes, functions and methods."""
    assert ast.get_docstring(ast.parse(path.read_text())), "the module says nothing of itself"
    assert [name for name, node in all_public(path).items() if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("path", modules(), ids=str)
def test_a_public_function_names_what_it_raises(path: Path) -> None:
    """Who calls it need not read it to know what to expect."""
    unsaid = {
        name: sorted(error for error in raised(node) if error not in (ast.get_docstring(node) or ""))
        for name, node in all_public(path).items()
        if isinstance(node, Function) and not said_elsewhere(node)
    }
    assert {name: errors for name, errors in unsaid.items() if errors} == {}


@pytest.mark.parametrize("path", modules(), ids=str)
def test_every_argument_and_result_has_a_type(path: Path) -> None:
    """Private functions too."""
    untyped = []
    for function in functions(path):
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        named = [argument for argument in arguments if argument.arg not in {"self", "cls"}]
        if function.returns is None or any(argument.annotation is None for argument in named):
            untyped.append(function.name)
    assert untyped == []
