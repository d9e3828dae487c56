"""Owns the command line: its grammar, and what it says as one value; opens no file and no connection."""

from __future__ import annotations

import os.path
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final, get_args

import docopt

from jobworker.cli.errors import WrongUsageError
from jobworker.cli.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

USAGE = """\
Usage:
  worker-cli [options] start -- <command>...
  worker-cli [options] (stop|status) <jobId>
  worker-cli [options] logs (stdout|stderr) [--follow | --no-follow] <jobId>
  worker-cli [options] list
  worker-cli -h | --help
  worker-cli --version

Options:
  -h --help             Show this screen.
  --version             Show version.
  --debug               Set log level to DEBUG.
  --address=<addr>      Server address and port [default: 0.0.0.0:8080]
  --cert=<cert>         Path to the client certificate for mTLS. [default: certs/client-cert.pem]
  --key=<key>           Path to the client key for mTLS. [default: certs/client-key.pem]
  --ca=<ca>             Path to the CA certificate for the server for mTLS. [default: certs/ca-cert.pem]
"""

Verb = Literal["start", "stop", "status", "logs", "list"]
Stream = Literal["stdout", "stderr"]

_VERBS: tuple[Verb, ...] = get_args(Verb)
_HELP = "see worker-cli --help"
_NEEDS = {
    "start": "start needs the job's command after --, as in worker-cli start -- ls -l",
    "stop": "stop takes one job id",
    "status": "status takes one job id",
    "logs": "logs takes stdout or stderr, one job id, and --follow or --no-follow",
    "list": "list takes nothing but options",
}


@final
@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for.

    Attributes:
        verb: what to do.
        address: where the server listens, as it was typed.
        cert: the path of the client's certificate.
        key: the path of its key.
        ca: the path of the server's CA.
        debug: whether to say on stderr what happens.
        command: for start: the job's program and its arguments.
        job_id: for stop, status and logs: a job's id or the beginning of one.
        stream: for logs: which output to read.
        follow: for logs: whether to go on until the job has ended.
    """

    verb: Verb
    address: str
    cert: str
    key: str
    ca: str
    debug: bool = False
    command: tuple[str, ...] = ()
    job_id: str = ""
    stream: Stream = "stdout"
    follow: bool = True


def parse(words: Sequence[str], folder: str) -> Options:
    """Returns what a command line asks for.

    Args:
        words: the command line without the program's name.
        folder: where relative paths start; "" for the working directory.

    Raises:
        WrongUsageError: it does not fit the usage, or holds what is not text.
        SystemExit: help or the version was asked for and has been printed.
    """
    _check_text(words)
    try:
        found = docopt.docopt(USAGE, list(words), version=f"worker-cli {VERSION}")
    except docopt.DocoptExit as error:
        raise WrongUsageError(f"{_complaint(words, str(error))}; {_HELP}") from None
    return _options(found, folder)


def _options(found: Mapping[str, object], folder: str) -> Options:
    command = found["<command>"]
    return Options(
        verb=next(verb for verb in _VERBS if found[verb]),
        address=str(found["--address"]),
        cert=_path(folder, found["--cert"]),
        key=_path(folder, found["--key"]),
        ca=_path(folder, found["--ca"]),
        debug=bool(found["--debug"]),
        command=tuple(command) if isinstance(command, list) else (),
        job_id=str(found["<jobId>"] or ""),
        stream="stderr" if found["stderr"] else "stdout",
        follow=not found["--no-follow"],
    )


def _path(folder: str, path: object) -> str:
    return os.path.join(folder, str(path))  # noqa: PTH118 - pathlib costs 3 ms of every start


def _check_text(words: Sequence[str]) -> None:
    """Refuses bytes that are not UTF-8, which Python turns into lone surrogates and the API cannot carry."""
    for position, word in enumerate(words, start=1):
        try:
            word.encode()
        except UnicodeEncodeError:
            raise WrongUsageError(f"argument {position} is not valid UTF-8, which the service needs; {_HELP}") from None


def _complaint(words: Sequence[str], said: str) -> str:
    """What is wrong with words that do not fit; docopt itself says it in words of its own code."""
    before = words[: words.index("--")] if "--" in words else words
    verb = next((word for word in before if word in _VERBS), None)
    if said.startswith("-"):  # such as "--address requires argument"
        return said.partition("\n")[0]
    if verb is not None:
        return _unknown_option(before) or _repeated_option(before) or _NEEDS[verb]
    plain = [word for word in before if not word.startswith("-")]
    return f"there is no command {plain[0]!r}" if plain else _unknown_option(before) or "no command given"


def _repeated_option(words: Sequence[str]) -> str:
    names = [word.partition("=")[0] for word in words if word.startswith("--")]
    return next((f"{name} is given twice" for name in names if names.count(name) > 1), "")


def _unknown_option(words: Sequence[str]) -> str:
    known = [word.partition("=")[0] for line in USAGE.splitlines() for word in line.split() if word.startswith("-")]
    known += ["--follow", "--no-follow"]
    for word in words:
        name = word.partition("=")[0]
        if name.startswith("-") and not any(option.startswith(name) for option in known):
            return f"there is no option {name}"
    return ""
