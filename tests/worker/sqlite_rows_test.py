"""A row that this program never wrote is refused by the error that the store knows, whatever is in it."""

from __future__ import annotations

import pytest

from jobworker.worker.sqlite_rows import job_of, reservation_of

RESERVATION = ("0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3", '["ls"]', "owner", "principal", None)
JOB = (*RESERVATION, 0, None, None, None, None, None, 0, 0, 0, 0)


def test_a_good_row() -> None:
    """The rows that the other tests change are good ones."""
    assert job_of(JOB).command == reservation_of(RESERVATION).command == ("ls",)


@pytest.mark.parametrize("command", ['"ls"', '{"ls": 1}', '["ls", 1]', "[[]]", "7", "", "[" * 100_000, None, b"ls"])
def test_a_command_that_is_no_list_of_words(command: object) -> None:
    """Nothing that is not a list of words becomes a command."""
    with pytest.raises((ValueError, TypeError)):
        job_of((JOB[0], command, *JOB[2:]))
    with pytest.raises((ValueError, TypeError)):
        reservation_of((RESERVATION[0], command, *RESERVATION[2:]))


@pytest.mark.parametrize("time", [2**63 - 1, -(2**63), "now", None])
def test_a_time_that_is_none(time: object) -> None:
    """A number beyond the calendar is refused as any other nonsense is."""
    with pytest.raises((ValueError, TypeError)):
        job_of((*JOB[:5], time, *JOB[6:]))
