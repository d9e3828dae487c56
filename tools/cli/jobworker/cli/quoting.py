"""Makes text from elsewhere safe to show: nothing in it can drive a terminal or break a line."""

from __future__ import annotations

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_")
_NAMED = {"\a": "\\a", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\v": "\\v", "\f": "\\f", "\r": "\\r", "\x1b": "\\e"}
_LAST_OF_ONE_BYTE = 0x7F
_LAST_OF_FOUR_DIGITS = 0xFFFF


def shell_command(words: tuple[str, ...]) -> str:
    """Returns a command as one could type it into bash."""
    return " ".join(_shell_word(word) for word in words)


def printable(text: str) -> str:
    """Returns text on one line, with escapes in place of what does not print."""
    return "".join(char if char.isprintable() else _escape(char) for char in " ".join(text.split()))


def _shell_word(word: str) -> str:
    if word and _PLAIN.issuperset(word):
        return word
    if word.isprintable():
        return "'" + word.replace("'", "'\\''") + "'"
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + "".join(char if char.isprintable() else _escape(char) for char in escaped) + "'"


def _escape(char: str) -> str:
    """The escape that bash reads in $'...'."""
    code = ord(char)
    if code <= _LAST_OF_ONE_BYTE:
        return _NAMED.get(char, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code <= _LAST_OF_FOUR_DIGITS else f"\\U{code:08x}"
