"""Gathers all that is wrong, so that who has to mend it is told once; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar, final

from jobworker.daemon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@final
class Problems:
    """What was found wrong so far; true if that is anything."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def __repr__(self) -> str:
        return f"<Problems {len(self._found)}>"

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, problem: str) -> None:
        """Adds one, a line of text."""
        self._found.append(problem)

    def of(
        self, check: Callable[_Arguments, _Result], *arguments: _Arguments.args, **named: _Arguments.kwargs
    ) -> _Result | None:
        """Returns what a check returns; None if it finds something wrong, which is added."""
        try:
            return check(*arguments, **named)
        except ConfigurationError as error:
            self._found.extend(error.problems)
            return None

    def error(self) -> ConfigurationError:
        """Returns the error that tells of all; there has to be one at least."""
        return ConfigurationError(*self._found)
