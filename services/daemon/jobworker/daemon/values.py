"""The value of each option: as it was typed, else from its JOBWORKER_ variable, else its default; no I/O."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, final

from jobworker.daemon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def variable_of(option: str) -> str:
    """Returns the environment variable that stands for an option."""
    return "JOBWORKER_" + option.removeprefix("--").replace("-", "_").upper()


@final
class Values:
    """Looks options up; the command line wins over the environment, where an empty variable counts as absent."""

    def __init__(
        self, typed: Mapping[str, str | bool | None], environment: Mapping[str, str], defaults: Mapping[str, str]
    ) -> None:
        """Takes all that there is to look in.

        Args:
            typed: What the command line has for each option.
            environment: The process's environment.
            defaults: What holds where neither has anything.
        """
        self.environment = environment
        self._typed = typed
        self._defaults = defaults

    def __repr__(self) -> str:
        return f"<Values of {len(self._typed)} options>"

    def text(self, option: str) -> str | None:
        """Returns an option's value; None if it has none, and no default.

        Raises:
            ConfigurationError: If it was typed without one; whoever started the daemon has to mend it.
        """
        typed = self._typed[option]
        if typed == "":
            raise ConfigurationError(f"{option} is empty; give it a value, or leave it out")
        if isinstance(typed, str):
            return typed
        return self.environment.get(variable_of(option)) or self._defaults.get(option)

    def required(self, option: str) -> str:
        """Returns the value of an option that has a default.

        Raises:
            ConfigurationError: If it was typed without one; whoever started the daemon has to mend it.
        """
        return self.text(option) or self._defaults[option]

    def path(self, option: str) -> Path:
        """Returns the path that an option with a default names; see `absolute`.

        Raises:
            ConfigurationError: If it was typed without one; whoever started the daemon has to mend it.
        """
        return self.absolute(self.required(option))

    def absolute(self, path: str) -> Path:
        """Returns a path that was typed, from where the user was."""
        # Under `bazel run` the working directory is the runfiles tree; Bazel says here where the user was.
        return Path(self.environment.get("BUILD_WORKING_DIRECTORY", ""), path).absolute()

    def flag(self, option: str) -> bool:
        """Returns whether an option without a value was given.

        Raises:
            ConfigurationError: If its variable is neither 1 nor 0; whoever started the daemon has to mend it.
        """
        variable = variable_of(option)
        text = self.environment.get(variable, "") or "0"
        value = _FLAGS.get(text.lower())
        if value is None:
            raise ConfigurationError(f"{variable} is {text!r}; give 1 or 0")
        return bool(self._typed[option]) or value
