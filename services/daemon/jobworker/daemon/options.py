"""The command line and the JOBWORKER_ variables, made into one `Options`; opens no file and binds nothing."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import docopt

from jobworker.daemon import __version__
from jobworker.daemon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

USAGE = """Serves jobs over gRPC with mutual TLS.

Usage:
  worker-daemon [options]
  worker-daemon -h | --help
  worker-daemon --version

Options:
  -h --help           Show this screen.
  --version           Show version.
  --address=<addr>    Address and port to listen on, such as 127.0.0.1:8080, [::1]:8080 or localhost:0, where port 0
                      takes a free one. (default: 127.0.0.1:8080)
  --cert=<path>       The server's certificate, PEM. (default: certs/server-cert.pem)
  --key=<path>        The server's key, PEM. (default: certs/server-key.pem)
  --ca=<path>         The CA that clients' certificates must come from, PEM. (default: certs/ca-cert.pem)
  --roles=<path>      The role table, TOML: lists of certificates' SHA-256 fingerprints. FULL = ["…"] may do
                      everything, LOG = ["…"] list jobs and query their status, but not read logs.
                      (default: certs/roles.toml)
  --state-dir=<path>  Where jobs' output is kept. (default: a private temporary directory, removed at the end)
  --log-level=<level> What to log to stderr: debug, info, warning or error. (default: info)
  --insecure-dev-certificates
                      Listen beyond loopback even though the certificates or roles are those of the folder certs/,
                      whose keys everyone has.

Each option can be given in the environment instead: --state-dir as JOBWORKER_STATE_DIR, and so on; the flag
JOBWORKER_INSECURE_DEV_CERTIFICATES takes 1 or 0. The command line wins. Relative paths start where the command was
typed.

Exit codes: 0 after SIGTERM or SIGINT, 1 when it can't listen or has to give up, 2 when the configuration is wrong,
128 + n when a second signal n cut the shutdown short.
"""

_DEFAULTS = {
    "--address": "127.0.0.1:8080",
    "--cert": "certs/server-cert.pem",
    "--key": "certs/server-key.pem",
    "--ca": "certs/ca-cert.pem",
    "--roles": "certs/roles.toml",
    "--log-level": "info",
}
_LOG_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_FLAG_VALUES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@final
@dataclass(frozen=True, slots=True)
class Options:
    """What whoever started the daemon asked for.

    Attributes:
        address: Where to listen, as it was typed.
        cert: The server's certificate.
        key: The server's key.
        ca: The CA of the clients.
        roles: The role table.
        state_dir: Where jobs' output is kept; None for a private temporary directory.
        log_level: A level of the module logging.
        insecure_dev_certificates: Whether the published certificates may serve beyond loopback.
    """

    address: str
    cert: Path
    key: Path
    ca: Path
    roles: Path
    state_dir: Path | None
    log_level: int
    insecure_dev_certificates: bool


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
    """Returns the options that the command line and the environment give.

    Prints and exits for --help and --version.

    Args:
        arguments: The command line without the program's name.
        environment: The process's environment.

    Raises:
        ConfigurationError: If an option is unknown or its value can't be; whoever started the daemon has to mend it.
    """
    given = _command_line(arguments)

    def value(option: str) -> str | None:
        typed = given[option]
        return typed if isinstance(typed, str) else environment.get(variable_of(option)) or _DEFAULTS.get(option)

    def path(option: str) -> Path | None:
        # Under `bazel run` the working directory is the runfiles tree; Bazel says here where the user was.
        text = value(option)
        return Path(environment.get("BUILD_WORKING_DIRECTORY", ""), text).absolute() if text else None

    def required_path(option: str) -> Path:
        found = path(option)
        if found is None:
            raise ConfigurationError(f"{option} is empty; give a path")
        return found

    return Options(
        address=value("--address") or "",
        cert=required_path("--cert"),
        key=required_path("--key"),
        ca=required_path("--ca"),
        roles=required_path("--roles"),
        state_dir=path("--state-dir"),
        log_level=_log_level(value("--log-level") or ""),
        insecure_dev_certificates=bool(given["--insecure-dev-certificates"]) or _flag(environment),
    )


def variable_of(option: str) -> str:
    """Returns the environment variable that stands for an option."""
    return "JOBWORKER_" + option.removeprefix("--").replace("-", "_").upper()


def _command_line(arguments: Sequence[str]) -> dict[str, str | bool | None]:
    try:
        return dict(docopt.docopt(USAGE, list(arguments), version=f"worker-daemon {__version__}"))
    except docopt.DocoptExit:
        typed = " ".join(arguments)
        raise ConfigurationError(f"can't make sense of the arguments {typed!r}; see worker-daemon --help") from None


def _log_level(name: str) -> int:
    level = _LOG_LEVELS.get(name.lower())
    if level is None:
        raise ConfigurationError(f"unknown log level {name!r}; give debug, info, warning or error (--log-level)")
    return level


def _flag(environment: Mapping[str, str]) -> bool:
    variable = variable_of("--insecure-dev-certificates")
    text = environment.get(variable, "") or "0"
    value = _FLAG_VALUES.get(text.lower())
    if value is None:
        raise ConfigurationError(f"{variable} is {text!r}; give 1 or 0")
    return value
