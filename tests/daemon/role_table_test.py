"""The role table's format."""

from __future__ import annotations

import hashlib
import re

import pytest

from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.principals import Caller, PrincipalTable, Role
from jobworker.daemon.role_table import parse_principals

_A = hashlib.sha256(b"a").hexdigest()
_B = hashlib.sha256(b"b").hexdigest()
_C = hashlib.sha256(b"c").hexdigest()
_D = hashlib.sha256(b"d").hexdigest()


def _parse(text: str) -> PrincipalTable:
    return parse_principals(text, "roles.toml")


def _role_of(table: PrincipalTable, fingerprint: str) -> Role | None:
    caller = table.caller(fingerprint)
    return caller and caller.role


def _problems(text: str) -> list[str]:
    """Returns all that is wrong with a text, without the file's name."""
    with pytest.raises(ConfigurationError) as caught:
        _parse(text)
    assert all(problem.startswith("roles.toml:") for problem in caught.value.problems)
    return [problem.removeprefix("roles.toml:") for problem in caught.value.problems]


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
    assert _role_of(_parse(f'FULL = ["{written}"]'), _A) is Role.FULL


def test_both_lists_is_full() -> None:
    """A fingerprint in both lists has the role FULL, whichever list comes first."""
    for text in (f'FULL = ["{_A}"]\nLOG = ["{_A}", "{_B}"]', f'LOG = ["{_A}", "{_B}"]\nFULL = ["{_A}"]'):
        table = _parse(text)
        assert (_role_of(table, _A), _role_of(table, _B), _role_of(table, "")) == (Role.FULL, Role.LOG, None)


def test_one_list_may_be_missing_or_empty() -> None:
    """Either list alone is a table."""
    assert _role_of(_parse(f'LOG = ["{_A}"]'), _A) is Role.LOG
    assert _role_of(_parse(f'FULL = []\nLOG = ["{_A}"]'), _A) is Role.LOG


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", " no fingerprint"),
        ("FULL = []\nLOG = []", " no fingerprint"),
        ('[[principal]]\nname = "ci"\nrole = "LOG"\nfingerprints = []', " no fingerprint"),
        ("FULL = [", "1: not TOML: .*end of document"),
        ("\n\nFULL = [", "3: not TOML: .*end of document"),
        ("FULL = [?]", "1: not TOML: .*line 1, column 9"),
        ('FULL = ["x"]\nFULL = ["y"]\n', "2: not TOML"),
        ('# ADMIN\nADMIN = ["x"]', "2: unknown role 'ADMIN'; the roles are FULL and LOG"),
        ('full = ["x"]', "1: unknown role 'full'"),
        ('\nFULL = "x"', r'2: FULL is not a list; write FULL = \["…"\]'),
        (f'LOG = ["{_A}", "zz"]', "1: LOG, entry 2: 'zz'"),
        (f'LOG = [\r\n  "{_A}", # zz\r\n  "zz",\r\n]', "3: LOG, entry 2: 'zz'"),
        ('FULL = ["zz"]\nLOG = [\n"""\nzz"""]', "3: LOG, entry 1: 'zz'"),
        ('LOG = [\n"""\nzz""",\n\'yy\']', "4: LOG, entry 2: 'yy'"),
        ("LOG = [\n1]", "2: LOG, entry 1: 1 is no SHA-256 fingerprint"),
        (f'LOG = ["{_A[:40]}"]', "1: LOG, entry 1"),
        (f'LOG = ["{_A}00"]', "1: LOG, entry 1"),
        (f'LOG = ["{_colons(_A)[:-1]}"]', "1: LOG, entry 1"),
        (f'LOG = ["{_A[:-1]}٣"]', "1: LOG, entry 1"),
        (f'\n[FULL]\nx = "{_A}"', "2: FULL is not a list"),
        ("FULL = [\n0x" + "f" * 5000 + "]", "1: FULL, entry 1: something of the type int is no SHA-256 fingerprint"),
        ("FULL = [\n" + "9" * 5000 + "]", "2: not TOML: "),
        ("FULL = " + "[" * 5000 + "]" * 5000, " lists within lists"),
        ("\nprincipal = 1", "2: principal is not a list of tables"),
        ("\n[principal]", "2: principal is not a list of tables"),
    ],
)
def test_malformed_tables(text: str, problem: str) -> None:
    """A table that is wrong or grants nothing is refused, with the line."""
    assert re.match(problem, _problems(text)[-1])


_CI = f'[[principal]]\nname = "ci"\nrole = "FULL"\nfingerprints = ["{_A}", "{_colons(_B)}"]\n'


def test_a_principal_has_a_name_and_several_certificates() -> None:
    """Whichever of its certificates a principal calls with, it is the same one."""
    table = _parse(f'LOG = ["{_C}"]\n{_CI}[[principal]]\nname = "Zoë O."\nrole = "LOG"\nfingerprints = ["{_D}"]')
    assert table.caller(_A) == Caller("ci", Role.FULL, _A, (_B,))
    assert table.caller(_B) == Caller("ci", Role.FULL, _B, (_A,))
    assert table.caller(_C) == Caller(_C, Role.LOG, _C)
    assert table.caller(_D) == Caller("Zoë O.", Role.LOG, _D)
    assert repr(table) == "<PrincipalTable principals=3 fingerprints=4>"


def test_a_principal_may_have_no_certificate() -> None:
    """Someone who may not call for a while keeps the name."""
    table = _parse(f'{_CI}[[principal]]\nname = "gone"\nrole = "LOG"\nfingerprints = []')
    assert [one.name for one in table.principals] == ["ci", "gone"]


def test_the_same_certificate_twice_under_one_name_is_one() -> None:
    """It grants nothing to anyone else."""
    table = _parse(f'[[principal]]\nname = "ci"\nrole = "FULL"\nfingerprints = ["{_A}", "{_A.upper()}"]')
    assert table.principals[0].fingerprints == (_A,)


def test_principals_as_inline_tables() -> None:
    """The other way in which TOML writes the same is read too, and a mistake in it has a line."""
    text = f'principal = [\n{{name = "ci", role = "LOG", fingerprints = ["{_A}"]}},\n{{name = "x"}}]'
    assert _problems(text) == ["1: principal 2 has no role and no fingerprints"]


def _principal(name: str = '"x"', role: str = '"LOG"', fingerprints: str = f'["{_C}"]', more: str = "") -> str:
    return f"{_CI}[[principal]]\nname = {name}\nrole = {role}\nfingerprints = {fingerprints}\n{more}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (_principal(name='"ci"'), "6: the name 'ci' is taken (line 2); one principal has all its fingerprints"),
        (_principal(name='""'), "6: the name '' has 0 characters; give one to 64"),
        (_principal(name=f'"{"x" * 65}"'), f"6: the name '{'x' * 65}' has 65 characters; give one to 64"),
        (_principal(name="7"), "6: the name 7 is not a string of printable characters without spaces around"),
        (_principal(name='"a\\n"'), "6: the name 'a\\n' is not a string of printable characters without spaces around"),
        (_principal(name='" a"'), "6: the name ' a' is not a string of printable characters without spaces around"),
        (
            _principal(name=f'"{_D.upper()}"'),
            f"6: the name {_D.upper()} looks like a fingerprint, which names a principal of the short form",
        ),
        (_principal(role='"full"'), "7: unknown role 'full'; the roles are FULL and LOG"),
        (_principal(role="2"), "7: unknown role 2; the roles are FULL and LOG"),
        (_principal(fingerprints=f'"{_C}"'), '8: x, fingerprints is not a list; write fingerprints = ["…"]'),
        (_principal(more='email = "x"'), "9: unknown key 'email'; a principal has name, role, fingerprints"),
        (_CI + '[[principal]]\nrole = "LOG"', "5: principal 2 has no name and no fingerprints"),
        (
            _principal(fingerprints=f'[\n"{_C}",\n"{_A}"]'),
            f"10: x, fingerprints, entry 2: '{_A}' is that of ci too; it belongs to one",
        ),
        (
            f'FULL = ["{_A}"]\n{_CI}',
            f"5: ci, fingerprints, entry 1: '{_A}' is that of a principal without a name too; it belongs to one",
        ),
    ],
)
def test_wrong_principals(text: str, problem: str) -> None:
    """What is wrong with a principal is told with the line that it stands on."""
    assert _problems(text) == [problem]


def test_all_mistakes_are_told() -> None:
    """Who mends a table learns of everything at once; the daemon's one line says how many more there are."""
    text = f'FULL = ["zz"]\nROOT = []\n{_principal(role="1", fingerprints=chr(91) + chr(93))}'
    with pytest.raises(ConfigurationError) as caught:
        _parse(text)
    assert [problem.split(":")[1] for problem in caught.value.problems] == ["1", "2", "9"]
    assert str(caught.value).endswith("(2 more; worker-daemon check-config tells all)")


@pytest.mark.parametrize(
    "written", [" " * 200_000, "x" + " " * 200_000, "sha256" + " " * 200_000, f"{_A[:32]}sha256 fingerprint={_A[32:]}"]
)
def test_what_is_nearly_a_fingerprint_is_refused_at_once(written: str) -> None:
    """However long it is, one look tells; and its beginning is no beginning in the middle."""
    with pytest.raises(ConfigurationError, match="no SHA-256 fingerprint"):
        parse_principals(f'FULL = ["{written}"]', "roles.toml")


def test_a_long_table_is_read_in_linear_time() -> None:
    """Thousands of mistakes are told with their lines while one could count to ten."""
    text = "".join(f"[[principal]]\nkey_{number} = {number}\n" for number in range(5_000))
    with pytest.raises(ConfigurationError) as refused:
        parse_principals(text, "roles.toml")
    assert refused.value.problems[-1].startswith("roles.toml:9999: principal 5000 has no name")
