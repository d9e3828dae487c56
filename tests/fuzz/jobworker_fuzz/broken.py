"""What shows that fuzzing finds things: a promise that is broken for one beginning of four bytes."""

from __future__ import annotations

from jobworker_fuzz.target import Target


def _broken(data: bytes) -> None:
    # A condition each, so that each byte that is right covers something new.
    if data[:1] == b"F" and data[1:2] == b"U" and data[2:3] == b"Z" and data[3:4] == b"Z":
        raise AssertionError("the promise is broken")


TARGET = Target("broken", _broken)
"""The target; none of those that are to hold."""
