"""What is promised of all that parses, tried on what Hypothesis makes up and on what fuzzing once found."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobworker_fuzz import TARGETS

SEEDS = Path(__file__).parent / "testdata"
# No test is worth more time of everyone's build; the long form is `fuzz`.
EXAMPLES = 100
# A single input; far more than any takes, on a machine that does much else.
LONGEST_MILLISECONDS = 5_000


def seeds(name: str) -> list[bytes]:
    """Returns a target's seeds."""
    return [path.read_bytes() for path in sorted((SEEDS / name).iterdir())]


@st.composite
def mutants(draw: st.DrawFn, name: str) -> bytes:
    """Makes one of a target's seeds another by a few cuts, each filled with any bytes or with a part of any seed."""
    data = draw(st.sampled_from(seeds(name)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 16)))
        filling = draw(st.binary(max_size=16) | st.sampled_from(seeds(name)))
        data = data[:start] + filling + data[end:]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    """Each target has seeds, and what is promised holds for them."""
    assert seeds(name)
    for seed in seeds(name):
        TARGETS[name].check(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_and_mutants_of_good_ones(name: str) -> None:
    """What is promised holds for whatever comes, be it nonsense or nearly right."""

    @settings(max_examples=EXAMPLES, deadline=LONGEST_MILLISECONDS)
    @given(st.binary() | st.text().map(str.encode) | mutants(name))
    @example(b"")
    @example(b"\0")
    @example(b"\xff\xfe")
    @example(b"\xef\xbb\xbf")
    @example(b"[" * 100_000)
    @example(b"9" * 10_000)
    @example(b" " * 10_000)
    @example(b"\n" * 10_000)
    def check(data: bytes) -> None:
        TARGETS[name].check(data)

    check()


def test_every_folder_of_seeds_has_a_target() -> None:
    """No seeds are left behind by a target that was renamed."""
    assert {path.name for path in SEEDS.iterdir()} == set(TARGETS)
