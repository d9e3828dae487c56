"""The role table's format."""

from __future__ import annotations

import hashlib

import pytest

from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.roles import Role, parse_roles

_A = hashlib.sha256(b"a").hexdigest()
_B = hashlib.sha256(b"b").hexdigest()


def _colons(fingerprint: str) -> str:
    return ":".join(fingerprint[i : i + 2] for i in range(0, 64, 2))


@pytest.mark.parametrize(
    "written",
    [
        _A,
        _A.upper(),
        _colons(_A),
        _colons(_A).upper(),
        f"SHA256 Fingerprint={_colons(_A).upper()}",
        f"sha256 Fingerprint={_colons(_A).upper()}",
        f"  SHA-256 fingerprint = {_A} ",
    ],
)
def test_forms_of_a_fingerprint(written: str) -> None:
    """A fingerprint may be pasted as openssl prints it or as plain hex, in any case."""
    assert parse_roles(f'FULL = ["{written}"]').role_of(_A) is Role.FULL


def test_both_lists_is_full() -> None:
    """A fingerprint in both lists has the role FULL, whichever list comes first."""
    for text in (f'FULL = ["{_A}"]\nLOG = ["{_A}", "{_B}"]', f'LOG = ["{_A}", "{_B}"]\nFULL = ["{_A}"]'):
        table = parse_roles(text)
        assert (table.role_of(_A), table.role_of(_B), table.role_of("")) == (Role.FULL, Role.LOG, None)


def test_one_list_may_be_missing_or_empty() -> None:
    """Either list alone is a table."""
    assert parse_roles(f'LOG = ["{_A}"]').role_of(_A) is Role.LOG
    assert parse_roles(f'FULL = []\nLOG = ["{_A}"]').role_of(_A) is Role.LOG


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "no fingerprint"),
        ("FULL = []\nLOG = []", "no fingerprint"),
        ("FULL = [", "end of document"),
        ("FULL = [?]", "line 1, column 9"),
        ('FULL = ["x"]\nFULL = ["y"]\n', "line 2"),
        ('ADMIN = ["x"]', "'ADMIN'"),
        ('full = ["x"]', "'full'"),
        ('FULL = "x"', "FULL is not a list"),
        (f'LOG = ["{_A}", "zz"]', "LOG, entry 2: 'zz'"),
        ("LOG = [1]", "LOG, entry 1: 1"),
        (f'LOG = ["{_A[:40]}"]', "LOG, entry 1"),
        (f'LOG = ["{_A}00"]', "LOG, entry 1"),
        (f'LOG = ["{_colons(_A)[:-1]}"]', "LOG, entry 1"),
        (f'LOG = ["{_A[:-1]}٣"]', "LOG, entry 1"),
        (f'[FULL]\nx = "{_A}"', "FULL is not a list"),
    ],
)
def test_malformed_tables(text: str, place: str) -> None:
    """A table that is wrong or grants nothing is refused, with the place."""
    with pytest.raises(ConfigurationError, match=place):
        parse_roles(text)
