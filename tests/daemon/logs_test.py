"""The log's form, and that nobody can forge it."""

from __future__ import annotations

import io
import logging
import re
from typing import TYPE_CHECKING

import pytest

from jobworker.daemon import logs

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is logged, from info on."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.raiseExceptions
    made = io.StringIO()
    logs.set_up(logging.INFO, made)
    yield made
    root.handlers[:], root.level, logging.raiseExceptions = before


def test_line(stream: io.StringIO) -> None:
    """A record is one line: time, level, event, fields."""
    logging.getLogger("x").info("call", extra={"fields": {"code": "OK", "job": ""}})
    assert re.fullmatch(
        r'time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info event=call code=OK job=""\n', stream.getvalue()
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a b", '"a b"'),
        ('x" level=error y="', r'"x\" level=error y=\""'),
        ("a\nevent=call", r'"a\nevent=call"'),
        ("a\r\x1b[31m\x7f\x00", r'"a\r\u001b[31m\u007f\u0000"'),
        ("a=b", '"a=b"'),
        ("ü\u2028", r'"\u00fc\u2028"'),
        ("\udcff", r'"\udcff"'),
        ("back\\slash", r'"back\\slash"'),
    ],
)
def test_nothing_can_be_forged(value: str, written: str) -> None:
    """Whatever a peer sends stays one field of one line of printable ASCII."""
    assert logs.logfmt({"name": value, "code": "OK"}) == f"name={written} code=OK"


def test_traceback_is_a_field(stream: io.StringIO) -> None:
    """A traceback doesn't break the one-line-an-event rule."""
    error = ValueError("line 1\nline 2")
    logging.getLogger("x").error("failed", exc_info=error)
    line, rest = stream.getvalue().split("\n")
    assert not rest
    assert r"ValueError: line 1\nline 2" in line


def test_level(stream: io.StringIO) -> None:
    """What is below the level is left out."""
    logging.getLogger("x").debug("secret")
    assert not stream.getvalue()
