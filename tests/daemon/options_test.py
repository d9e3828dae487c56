"""The command line and the environment."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from jobworker.daemon import options
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.values import variable_of

_PATH_OPTIONS = ["--cert", "--key", "--ca", "--roles"]


def _parse(arguments: list[str], environment: dict[str, str]) -> options.Options:
    """Parses as for a user whose state is in /state."""
    return options.parse(arguments, {"XDG_STATE_HOME": "/state", **environment}, 1000)


def test_defaults() -> None:
    """Without options the daemon serves the development certificates on loopback."""
    chosen = _parse([], {})
    assert chosen.address == "127.0.0.1:8080"
    assert chosen.cert == Path.cwd() / "certs/server-cert.pem"
    assert chosen.key == Path.cwd() / "certs/server-key.pem"
    assert chosen.ca == Path.cwd() / "certs/ca-cert.pem"
    assert chosen.roles == Path.cwd() / "certs/roles.toml"
    assert chosen.log_level == logging.INFO
    assert not chosen.insecure_dev_certificates


@pytest.mark.parametrize("option", _PATH_OPTIONS)
def test_paths_from_line_and_environment(option: str) -> None:
    """Each path can come from the command line or the environment, and the command line wins."""
    attribute = option.removeprefix("--").replace("-", "_")
    environment = {variable_of(option): "/from/environment"}
    assert getattr(_parse([], environment), attribute) == Path("/from/environment")
    assert getattr(_parse([f"{option}=/from/line"], environment), attribute) == Path("/from/line")


def test_revocation_lists() -> None:
    """There are none unless they are asked for."""
    assert _parse([], {}).crl is None
    assert _parse(["--crl=/crl"], {"JOBWORKER_CRL": "/other"}).crl == Path("/crl")
    assert _parse([], {"JOBWORKER_CRL": "/other"}).crl == Path("/other")


def test_other_options_from_line_and_environment() -> None:
    """Address, level and flag can come from either side too."""
    environment = {
        "JOBWORKER_ADDRESS": "[::1]:1",
        "JOBWORKER_LOG_LEVEL": "ERROR",
        "JOBWORKER_INSECURE_DEV_CERTIFICATES": "1",
    }
    chosen = _parse([], environment)
    assert (chosen.address, chosen.log_level, chosen.insecure_dev_certificates) == ("[::1]:1", logging.ERROR, True)
    chosen = _parse(["--address=localhost:2", "--log-level=debug"], environment)
    assert (chosen.address, chosen.log_level) == ("localhost:2", logging.DEBUG)
    assert _parse(["--insecure-dev-certificates"], {}).insecure_dev_certificates


def test_empty_variable_is_none() -> None:
    """An empty variable, as unit files and compose files produce them, counts as absent."""
    chosen = _parse([], {"JOBWORKER_ADDRESS": "", "JOBWORKER_INSECURE_DEV_CERTIFICATES": ""})
    assert chosen.address == "127.0.0.1:8080"
    assert not chosen.insecure_dev_certificates


def test_relative_paths_start_where_the_user_typed() -> None:
    """Under `bazel run` paths are relative to the user's directory, not to the runfiles tree."""
    environment = {"BUILD_WORKING_DIRECTORY": "/home/user", "JOBWORKER_CA": "ca.pem"}
    chosen = _parse(["--cert=mine.pem", "--key=/absolute.pem"], environment)
    assert chosen.cert == Path("/home/user/mine.pem")
    assert chosen.key == Path("/absolute.pem")
    assert chosen.ca == Path("/home/user/ca.pem")
    assert chosen.roles == Path("/home/user/certs/roles.toml")


@pytest.mark.parametrize(
    "arguments", [["--no-such"], ["stray"], ["--address"], ["--log-level=debug", "--log-level=info"]]
)
def test_unknown_arguments(arguments: list[str]) -> None:
    """What docopt refuses is one line that points to --help."""
    with pytest.raises(ConfigurationError, match="--help") as caught:
        _parse(arguments, {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "environment", "culprit"),
    [
        (["--log-level=loud"], {}, "'loud'"),
        ([], {"JOBWORKER_LOG_LEVEL": "loud"}, "'loud'"),
        ([], {"JOBWORKER_INSECURE_DEV_CERTIFICATES": "perhaps"}, "'perhaps'"),
        (["--cert="], {}, "--cert is empty"),
        (["--address="], {}, "--address is empty"),
        (["--log-level="], {}, "--log-level is empty"),
    ],
)
def test_impossible_values(arguments: list[str], environment: dict[str, str], culprit: str) -> None:
    """A value that can't be is named."""
    with pytest.raises(ConfigurationError, match=culprit):
        _parse(arguments, environment)


@pytest.mark.parametrize(
    ("argument", "text"), [("--help", "Usage:"), ("-h", "Usage:"), ("--version", "worker-daemon ")]
)
def test_help_and_version(argument: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help and --version print to stdout and end well."""
    with pytest.raises(SystemExit) as caught:
        _parse([argument], {})
    assert not caught.value.code
    assert text in capsys.readouterr().out


def test_every_option_is_documented() -> None:
    """The usage text names each option that can be given, and its variable."""
    names = set(re.findall(r"^  (--[a-z-]+)", options.USAGE, re.MULTILINE)) - {"--version"}
    assert names >= {"--address", "--state-dir", "--keep-finished", *_PATH_OPTIONS}
    described = set(re.findall("JOBWORKER_[A-Z_]+[A-Z]", options.USAGE))
    assert described == set(map(variable_of, names))
