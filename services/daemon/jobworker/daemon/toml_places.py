"""Finds the lines that the words and strings of a TOML text stand on, which tomllib does not tell; no I/O."""

from __future__ import annotations

import bisect
import re
import tomllib
from collections import defaultdict
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of a text that is TOML. What begins neither a comment nor a string nor a word is skipped.
_TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\n]*)
    | (?P<string>
        \"{3}(?:\\.|[^\\])*?\"{3,5}
        | '{3}.*?'{3,5}
        | "(?:\\.|[^"\\\n])*"
        | '[^'\n]*'
    )
    | (?P<header>^[ \t]*\[\[?[ \t]*)
    | (?P<word>[A-Za-z0-9_+.:-]+)
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_HEADER = "["

START = -1
"""The place before everything, on line 1."""


@final
class Places:
    """The words, strings and headers of a TOML text, by place: a number that grows towards the text's end."""

    def __init__(self, text: str) -> None:
        """Takes the text apart.

        Args:
            text: What tomllib can read; of another text the places may be wrong.
        """
        tokens = tuple(_tokens(text.replace("\r\n", "\n")))
        self._lines = tuple(line for _, line in tokens)
        # By what stands there: a table of thousands of principals asks for as many places.
        self._places: dict[str, list[int]] = defaultdict(list)
        self._headers: dict[str, list[int]] = defaultdict(list)
        for place, (value, _) in enumerate(tokens):
            self._places[value].append(place)
            if place and tokens[place - 1][0] == _HEADER:
                self._headers[value].append(place - 1)

    def __repr__(self) -> str:
        return f"<Places {len(self._lines)}>"

    def next(self, after: int, value: str) -> int:
        """Returns the next place of a key or a value behind another place; that other place if there is none."""
        places = self._places.get(value, [])
        following = bisect.bisect_right(places, after)
        return places[following] if following < len(places) else after

    def table(self, name: str, number: int) -> int:
        """Returns the place of the header of the number-th table (from 1) of that name; that of the name if none."""
        headers = self._headers.get(name, [])
        return headers[min(number, len(headers)) - 1] if headers else self.next(START, name)

    def line(self, place: int) -> int:
        """Returns the line of a place, from 1."""
        return self._lines[place] if place != START else 1


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line, counted = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", counted, match.start())
        counted = match.start()
        if match["string"]:
            yield _value(match["string"]), line
        elif match["header"]:
            yield _HEADER, line
        elif match["word"]:
            yield match["word"], line


def _value(literal: str) -> str:
    try:
        return str(tomllib.loads(f"_ = {literal}")["_"])
    except tomllib.TOMLDecodeError:
        return literal
