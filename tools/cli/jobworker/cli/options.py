"""Owns the command line: its grammar, and what it says as one value; opens no file and no connection."""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import docopt

from jobworker.cli import quantities
from jobworker.cli.errors import WrongUsageError
from jobworker.cli.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

USAGE = """\
Usage:
  worker-cli [options] start -- <command>...
  worker-cli [options] stop [--grace=<seconds>] <jobId>
  worker-cli [options] status <jobId>
  worker-cli [options] logs (stdout|stderr) [--follow | --no-follow] [--tail=<n> | --offset=<n>] <jobId>
  worker-cli [options] rm <jobId>...
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
  --grace=<seconds>     How long the job may take to end by itself after a SIGTERM. What is left then is killed;
                        without this option everything is killed at once.
  --follow              Go on until the job has ended. This is the default.
  --no-follow           End where the output ends now.
  --tail=<n>            Begin n lines before the end of what there is now.
  --offset=<n>          Begin at byte n, counted from 0.
"""

Verb = Literal["start", "stop", "status", "logs", "rm", "list"]
Stream = Literal["stdout", "stderr"]

_VERBS: tuple[Verb, ...] = get_args(Verb)
_HELP = "see worker-cli --help"
_NEEDS = {
    "start": "start needs the job's command after --, as in worker-cli start -- ls -l",
    "stop": "stop takes one job id, and --grace",
    "status": "status takes one job id",
    "logs": "logs takes stdout or stderr, one job id, --follow or --no-follow, and --tail or --offset",
    "rm": "rm takes one job id or more",
    "list": "list takes nothing but options",
}
# The options that are not for every verb.
_OF_ONE_VERB: dict[str, Verb] = {
    "--grace": "stop",
    "--follow": "logs",
    "--no-follow": "logs",
    "--tail": "logs",
    "--offset": "logs",
}


# dataclasses and the inspect that it takes cost 6 ms of every start.
class Options(NamedTuple):
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
        job_ids: for rm: the same of several jobs.
        grace: for stop: how many seconds the job may take to end by itself.
        stream: for logs: which output to read.
        follow: for logs: whether to go on until the job has ended.
        offset: for logs: the byte to begin at, counted from 0.
        tail: for logs: how many lines before the end to begin, in place of at an offset.
    """

    verb: Verb
    address: str
    cert: str
    key: str
    ca: str
    debug: bool = False
    command: tuple[str, ...] = ()
    job_id: str = ""
    job_ids: tuple[str, ...] = ()
    grace: float = 0.0
    stream: Stream = "stdout"
    follow: bool = True
    offset: int = 0
    tail: int | None = None


def parse(words: Sequence[str], folder: str) -> Options:
    """Returns what a command line asks for.

    Args:
        words: the command line without the program's name.
        folder: where relative paths start; "" for the working directory.

    Raises:
        WrongUsageError: it does not fit the usage, or holds what is not text or no number where one is due.
        SystemExit: help or the version was asked for and has been printed.
    """
    _check_text(words)
    try:
        found = docopt.docopt(USAGE, list(words), version=f"worker-cli {VERSION}")
    except docopt.DocoptExit as error:
        raise WrongUsageError(f"{_complaint(words, str(error))}; {_HELP}") from None
    return _options(found, folder)


def _options(found: Mapping[str, object], folder: str) -> Options:
    verb = next(verb for verb in _VERBS if found[verb])
    job_ids = _several(found["<jobId>"])
    if "--" in job_ids:
        raise WrongUsageError(f"{_NEEDS[verb]}, and no --; {_HELP}")
    grace, offset, tail = found["--grace"], found["--offset"], found["--tail"]
    return Options(
        verb=verb,
        address=str(found["--address"]),
        cert=_path(folder, found["--cert"]),
        key=_path(folder, found["--key"]),
        ca=_path(folder, found["--ca"]),
        debug=bool(found["--debug"]),
        command=_several(found["<command>"]),
        job_id=job_ids[0] if job_ids and verb != "rm" else "",
        job_ids=job_ids if verb == "rm" else (),
        grace=0.0 if grace is None else quantities.seconds("--grace", str(grace)),
        stream="stderr" if found["stderr"] else "stdout",
        follow=not found["--no-follow"],
        offset=0 if offset is None else quantities.whole("--offset", str(offset), "bytes"),
        tail=None if tail is None else quantities.whole("--tail", str(tail), "lines"),
    )


def _several(value: object) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, list) else ()


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
        return _unknown_option(before) or _repeated_option(before) or _foreign_option(before, verb) or _NEEDS[verb]
    plain = [word for word in before if not word.startswith("-")]
    return f"there is no command {plain[0]!r}" if plain else _unknown_option(before) or "no command given"


def _repeated_option(words: Sequence[str]) -> str:
    names = [word.partition("=")[0] for word in words if word.startswith("--")]
    return next((f"{name} is given twice" for name in names if names.count(name) > 1), "")


def _foreign_option(words: Sequence[str], verb: str) -> str:
    """What is wrong with an option of another verb, which may be shortened."""
    names = [word.partition("=")[0] for word in words if word.startswith("--")]
    owned = [(option, owner) for name in names for option, owner in _OF_ONE_VERB.items() if option.startswith(name)]
    return next((f"{option} is an option of {owner}, not of {verb}" for option, owner in owned if owner != verb), "")


def _unknown_option(words: Sequence[str]) -> str:
    known = [word.partition("=")[0] for line in USAGE.splitlines() for word in line.split() if word.startswith("-")]
    for word in words:
        name = word.partition("=")[0]
        if name.startswith("-") and not any(option.startswith(name) for option in known):
            return f"there is no option {name}"
    return ""
