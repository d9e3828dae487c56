"""The command line: each form of the usage, and what does not fit it."""

from __future__ import annotations

import pytest

from jobworker.cli.errors import WrongUsageError
from jobworker.cli.options import Options, parse
from jobworker.cli.version import VERSION

DEFAULTS = Options(
    verb="list",
    address="0.0.0.0:8080",
    cert="certs/client-cert.pem",
    key="certs/client-key.pem",
    ca="certs/ca-cert.pem",
)


def test_list_with_defaults() -> None:
    """The defaults are those of the usage text."""
    assert parse(["list"], "") == DEFAULTS


@pytest.mark.parametrize("verb", ["stop", "status"])
def test_verbs_with_a_job(verb: str) -> None:
    """A job's id follows the verb."""
    options = parse([verb, "5a2e"], "")
    assert (options.verb, options.job_id) == (verb, "5a2e")


@pytest.mark.parametrize(
    "words",
    [
        ["ls"],
        ["ls", "-l", "--debug", "--address=x"],
        ["--help"],
        ["-h"],
        ["sh", "--", "-c", "--", "x"],
        ["--", "--"],
        ["start", "--", "list"],
        ["rm", "--tail=1", "--grace=1", "logs"],
        [""],
        ["a b", "ü", "\n"],
    ],
)
def test_what_follows_the_dashes_is_the_jobs(words: list[str]) -> None:
    """Everything after the first -- goes to the job untouched, options and further -- included."""
    options = parse(["--debug", "start", "--", *words], "")
    assert (options.verb, options.command) == ("start", tuple(words))
    assert (options.debug, options.address) == (True, DEFAULTS.address)


@pytest.mark.parametrize(
    ("words", "follow"),
    [
        ("logs stdout 5a2e", True),
        ("logs stdout 5a2e --follow", True),
        ("logs stdout --follow 5a2e", True),
        ("logs --follow stdout 5a2e", True),
        ("--follow logs stdout 5a2e", True),
        ("logs stdout 5a2e --no-follow", False),
        ("logs --no-follow stdout 5a2e", False),
    ],
)
def test_follow_may_stand_anywhere(words: str, follow: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Logs follow unless told not to, and the option stands before or after the id."""
    options = parse(words.split(), "")
    assert (options.verb, options.stream, options.job_id, options.follow) == ("logs", "stdout", "5a2e", follow)


@pytest.mark.parametrize(
    ("words", "grace"),
    [
        ("stop 5a2e", 0.0),
        ("stop 5a2e --grace=10", 10.0),
        ("stop --grace 0.5 5a2e", 0.5),
        ("--grace=.25 stop 5a2e", 0.25),
        ("stop --grace=0 5a2e", 0.0),
        ("stop --grace=315576000000 5a2e", 315_576_000_000.0),
    ],
)
def test_grace_may_stand_anywhere(words: str, grace: float) -> None:
    """The seconds may have decimals, and nothing given is none."""
    options = parse(words.split(), "")
    assert (options.verb, options.job_id, options.grace) == ("stop", "5a2e", grace)


@pytest.mark.parametrize(
    ("words", "offset", "tail"),
    [
        ("logs stdout 5a2e", 0, None),
        ("logs stdout 5a2e --tail=10", 0, 10),
        ("logs --tail 0 stdout 5a2e", 0, 0),
        ("--tail=007 logs stdout 5a2e --no-follow", 0, 7),
        ("logs stdout --offset=5 5a2e --follow", 5, None),
        ("logs --offset 9223372036854775807 stdout 5a2e", 9223372036854775807, None),
    ],
)
def test_where_logs_begin_may_stand_anywhere(words: str, offset: int, tail: int | None) -> None:
    """Logs begin at their first byte unless told otherwise; no line at all is a number of lines, too."""
    options = parse(words.split(), "")
    assert (options.verb, options.stream, options.job_id) == ("logs", "stdout", "5a2e")
    assert (options.offset, options.tail) == (offset, tail)


@pytest.mark.parametrize("text", ["-1", "", "x", "nan", "inf", "1e3", "1_0", "+1", ".", "1.2.3", "²", "315576000001"])
def test_what_is_no_number_of_seconds_is_wrong_usage(text: str) -> None:
    """Only plain decimal numbers are taken, and none that the API cannot carry."""
    with pytest.raises(WrongUsageError) as raised:
        parse(["stop", "5a", f"--grace={text}"], "")
    assert str(raised.value).startswith(f"--grace={text} is not a number of seconds; give one from 0 to ")


@pytest.mark.parametrize("text", ["-1", "", "x", "1.0", "1e3", "1_0", "+1", "²", "9223372036854775808", "9" * 9999])
@pytest.mark.parametrize(("option", "unit"), [("--tail", "lines"), ("--offset", "bytes")])
def test_what_is_no_count_is_wrong_usage(option: str, unit: str, text: str) -> None:
    """Only plain whole numbers are taken, and none that the API cannot carry."""
    with pytest.raises(WrongUsageError) as raised:
        parse(["logs", "stdout", "5a", f"{option}={text}"], "")
    assert str(raised.value).startswith(f"{option}={text} is not a number of {unit}; give a whole one from 0 to ")


@pytest.mark.parametrize(
    ("words", "job_ids"),
    [
        ("rm 5a", ("5a",)),
        ("rm 7c 5a 6b", ("7c", "5a", "6b")),
        ("rm 5a --debug 6b --address x 7c", ("5a", "6b", "7c")),
        ("rm list rm", ("list", "rm")),
    ],
)
def test_rm_takes_jobs(words: str, job_ids: tuple[str, ...]) -> None:
    """One id or more, in their order, with options between them."""
    options = parse(words.split(), "")
    assert (options.verb, options.job_ids, options.job_id) == ("rm", job_ids, "")


def test_logs_of_stderr() -> None:
    """The stream is the one that was named."""
    assert parse(["logs", "stderr", "5a"], "").stream == "stderr"


def test_options_stand_anywhere_before_the_dashes() -> None:
    """Options go before or after the verb, with = or without."""
    options = parse(["--ca", "/a", "stop", "--address=h:1", "5a", "--cert=/b", "--key", "/c", "--debug"], "/typed/in")
    assert options == Options(verb="stop", address="h:1", cert="/b", key="/c", ca="/a", debug=True, job_id="5a")


def test_relative_paths_start_where_the_command_was_typed() -> None:
    """Defaults and named paths alike."""
    options = parse(["list", "--ca=x.pem"], "/typed/in")
    assert (options.ca, options.cert) == ("/typed/in/x.pem", "/typed/in/certs/client-cert.pem")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "no command given"),
        ("frobnicate", "there is no command 'frobnicate'"),
        ("--debug", "no command given"),
        ("--frob list", "there is no option --frob"),
        ("--frob", "there is no option --frob"),
        ("list 5a2e", "list takes nothing but options"),
        ("list --follow", "--follow is an option of logs, not of list"),
        ("status --grace=1 5a", "--grace is an option of stop, not of status"),
        ("stop --ta=1 5a", "--tail is an option of logs, not of stop"),
        ("rm --offset=1 5a", "--offset is an option of logs, not of rm"),
        ("start --grace=1 -- ls", "--grace is an option of stop, not of start"),
        ("stop", "stop takes one job id"),
        ("stop --grace=1 a b", "stop takes one job id"),
        ("stop --grace=1 --grace=2 a", "--grace is given twice"),
        ("stop --", "stop takes one job id"),
        ("rm", "rm takes one job id or more"),
        ("rm -- 5a", "rm takes one job id or more, and no --"),
        ("status a b", "status takes one job id"),
        ("start", "start needs the job's command after --"),
        ("start ls", "start needs the job's command after --"),
        ("start --", "start needs the job's command after --"),
        ("logs 5a2e", "logs takes stdout or stderr"),
        ("logs stdout", "logs takes stdout or stderr"),
        ("logs stdout 5a --follow --no-follow", "--follow or --no-follow"),
        ("logs stdout 5a --tail=1 --offset=1", "--tail or --offset"),
        ("logs stdout 5a --tail", "--tail requires argument"),
        ("list --address", "--address requires argument"),
        ("list --debug=yes", "--debug must not have an argument"),
        ("list --address=a:1 --address=b:1", "--address is given twice"),
    ],
)
def test_wrong_usage_is_told_in_one_line(words: str, complaint: str) -> None:
    """The line says what does not fit, in the user's words, and where help is."""
    with pytest.raises(WrongUsageError) as raised:
        parse(words.split(), "")
    message = str(raised.value)
    assert complaint in message
    assert message.endswith("; see worker-cli --help")
    assert "\n" not in message


def test_bytes_that_are_not_utf_8_are_wrong_usage() -> None:
    """The API's strings cannot hold them; they are refused before anything is called."""
    with pytest.raises(WrongUsageError, match="argument 3 is not valid UTF-8"):
        parse(["start", "--", b"\xff".decode(errors="surrogateescape")], "")


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The version ends the program with success."""
    with pytest.raises(SystemExit) as ended:
        parse(["--version"], "")
    assert not ended.value.code
    assert capsys.readouterr().out == f"worker-cli {VERSION}\n"


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["list", "--help"]])
def test_help_is_the_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Help ends the program with success."""
    with pytest.raises(SystemExit) as ended:
        parse(words, "")
    assert not ended.value.code
    assert capsys.readouterr().out.startswith("Usage:\n  worker-cli [options] start -- <command>...\n")
