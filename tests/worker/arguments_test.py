"""What callers hand in is either right or refused with an error of its own, never with another one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobworker.supervisor.protocol import MOST_ARGUMENT_BYTES
from jobworker.worker import (
    CommandTooLongError,
    InvalidArgumentError,
    InvalidCommandError,
    InvalidGracePeriodError,
    InvalidJobIdError,
    InvalidLimitError,
    InvalidOffsetError,
    InvalidPageSizeError,
    InvalidRequestIdError,
    InvalidStreamError,
    InvalidTailLinesError,
    WorkerError,
)
from jobworker.worker.arguments import (
    DEFAULT_PAGE_SIZE,
    MAX_PAGE_SIZE,
    argument_bytes,
    check_command,
    check_grace_period,
    check_job_id,
    check_limit,
    check_offset,
    check_page_size,
    check_request_id,
    check_stream,
    check_tail_lines,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ID = "0123abcd-4567-4890-abcd-ef0123456789"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ([], "empty"),
        ((), "empty"),
        ([""], "name is empty"),
        (["", "x"], "name is empty"),
        (["a\0b"], "word 0 of the command holds a NUL"),
        (["echo", "x", "\0"], "word 2 of the command holds a NUL"),
        (["echo", "\ud800"], "word 1 of the command holds half a surrogate pair"),
        ("echo hi", "one string"),
        ("", "one string"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused(command: list[str], said: str) -> None:
    """The error says which word is wrong and how."""
    with pytest.raises(InvalidCommandError, match=said):
        check_command(command)


@given(st.lists(st.text()))
def test_any_list_of_words_is_kept_or_refused(command: list[str]) -> None:
    """A command is never changed, and fails with nothing but its own error."""
    try:
        checked = check_command(command)
    except InvalidCommandError:
        return
    assert list(checked) == command
    assert not any("\0" in word for word in checked)


@given(st.lists(st.binary(min_size=1).filter(lambda word: b"\0" not in word), min_size=1))
def test_words_of_any_bytes_are_taken(command: list[bytes]) -> None:
    """File names need not be UTF-8: Python's escapes for other bytes are text."""
    words = [word.decode("utf-8", "surrogateescape") for word in command]
    assert check_command(words) == tuple(words)


@pytest.mark.parametrize("word", ["x" * 127, "é" * 31 + "x", "\udcff" * 127, ""])
def test_a_command_that_no_kernel_takes_is_refused(word: str) -> None:
    """What counts is bytes, with one more for each word; one byte too many need not go any further."""
    words = [word] * ((MOST_ARGUMENT_BYTES - 128) // argument_bytes([word]))
    assert check_command(["x" * 127, *words])
    with pytest.raises(CommandTooLongError):
        check_command(["x" * 128, *words])


@given(st.uuids(), st.integers(1, 36))
def test_every_beginning_of_an_id_is_one(job_id: uuid.UUID, length: int) -> None:
    """An id's first characters are taken in any case, and come back in lower case."""
    prefix = str(job_id)[:length]
    assert check_job_id(prefix.upper()) == prefix


@given(st.text())
@example(ID + "0")
@example(ID.replace("-", ""))
@example(ID + "\n")
@example("0123abcd4")
@example("-")
@example("0123-")
@example("\u0661")
@example("{" + ID + "}")
@example("../etc/passwd")
def test_any_text_is_the_beginning_of_an_id_or_refused(text: str) -> None:
    """What passes can be completed to a UUID by characters alone; the rest fails with its own error."""
    try:
        checked = check_job_id(text)
    except InvalidJobIdError:
        return
    assert str(uuid.UUID(checked + ID[len(checked) :])) == checked + ID[len(checked) :]


@pytest.mark.parametrize("text", ["", "-", "0123-", "0123abcd4", ID + "0", ID + "\n", ID.replace("-", ""), "g", "é"])
def test_what_is_no_beginning_of_an_id_is_refused(text: str) -> None:
    """An empty id would be the beginning of every one."""
    with pytest.raises(InvalidJobIdError):
        check_job_id(text)


@pytest.mark.parametrize("check", [check_job_id, check_request_id, check_stream])
def test_an_error_does_not_repeat_an_argument_of_any_length(check: Callable[[str], object]) -> None:
    """It goes to logs and terminals."""
    with pytest.raises(InvalidArgumentError) as caught:
        check("x" * 10_000)
    assert len(str(caught.value)) < 200


@given(st.uuids())
def test_a_request_id_is_any_uuid(request_id: uuid.UUID) -> None:
    """Of any version and case; its canonical form is what counts."""
    assert check_request_id(str(request_id).upper()) == str(request_id)


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_request_id_may_be_left_out(nothing: str | None) -> None:
    """An empty one is none: that is how a proto says it."""
    assert check_request_id(nothing) is None


@given(st.text(min_size=1))
@example(ID[:-1])
@example(ID + "\n")
@example("urn:uuid:" + ID)
def test_any_text_is_a_request_id_or_refused(text: str) -> None:
    """What passes is a whole UUID; the rest fails with its own error."""
    try:
        checked = check_request_id(text)
    except InvalidRequestIdError:
        return
    assert checked == str(uuid.UUID(text))


@pytest.mark.parametrize(
    ("asked", "given_out"),
    [(0, DEFAULT_PAGE_SIZE), (1, 1), (MAX_PAGE_SIZE, MAX_PAGE_SIZE), (MAX_PAGE_SIZE + 1, MAX_PAGE_SIZE)],
)
def test_a_page_has_a_default_and_a_greatest_size(asked: int, given_out: int) -> None:
    """Zero is the default, and too many are fewer."""
    assert check_page_size(asked) == given_out


def test_a_negative_page_size_is_refused() -> None:
    """There is no such page."""
    with pytest.raises(InvalidPageSizeError, match="-1"):
        check_page_size(-1)


def test_a_negative_offset_is_refused() -> None:
    """Offsets count from the beginning."""
    assert check_offset(0) == 0
    with pytest.raises(InvalidOffsetError, match="-1"):
        check_offset(-1)


@pytest.mark.parametrize("tail_lines", [None, 0, 1, 1 << 70])
def test_a_read_may_begin_any_number_of_lines_before_the_end(tail_lines: int | None) -> None:
    """Or at its offset."""
    assert check_tail_lines(tail_lines, 0) == tail_lines


@pytest.mark.parametrize(
    ("tail_lines", "offset", "said"), [(-1, 0, "-1 lines"), (0, 1, "give one"), (7, 9, "give one")]
)
def test_a_tail_that_cannot_be_is_refused(tail_lines: int, offset: int, said: str) -> None:
    """It has no fewer lines than none, and begins at one place."""
    with pytest.raises(InvalidTailLinesError, match=said):
        check_tail_lines(tail_lines, offset)
    assert check_tail_lines(None, offset) is None


def test_a_negative_limit_is_refused() -> None:
    """None at all is 0."""
    assert [check_limit(0), check_limit(1 << 70)] == [0, 1 << 70]
    with pytest.raises(InvalidLimitError, match="-1"):
        check_limit(-1)


@pytest.mark.parametrize("seconds", [0, 0.0, 0.5, 1e9, 10**400])
def test_a_grace_period_is_any_time(seconds: float) -> None:
    """None at all too."""
    assert check_grace_period(seconds) == seconds


@pytest.mark.parametrize("seconds", [-1, -1e-9, float("nan"), float("inf"), float("-inf")])
def test_a_grace_period_that_is_no_time_is_refused(seconds: float) -> None:
    """A stop comes to an end."""
    with pytest.raises(InvalidGracePeriodError):
        check_grace_period(seconds)


@pytest.mark.parametrize("stream", ["", "STDOUT", "stdin", "stdout ", "x" * 10_000])
def test_only_stdout_and_stderr_are_streams(stream: str) -> None:
    """Their names are exact."""
    assert [check_stream("stdout"), check_stream("stderr")] == ["stdout", "stderr"]
    with pytest.raises(InvalidStreamError):
        check_stream(stream)


@pytest.mark.parametrize(
    "kind",
    [
        InvalidCommandError,
        InvalidGracePeriodError,
        InvalidJobIdError,
        InvalidLimitError,
        InvalidOffsetError,
        InvalidPageSizeError,
        InvalidRequestIdError,
        InvalidStreamError,
        InvalidTailLinesError,
    ],
)
def test_bad_arguments_are_one_family(kind: type[Exception]) -> None:
    """They can be caught as ours, as bad arguments, and as Python's own kind for that."""
    assert issubclass(kind, InvalidArgumentError)
    assert issubclass(kind, WorkerError)
    assert issubclass(kind, ValueError)
