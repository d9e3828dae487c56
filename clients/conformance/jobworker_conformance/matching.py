"""Compares what a driver printed with what a scenario expects; no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_JOB = re.compile(r"\$(\d+)")
_LONGEST = 200


def mismatches(
    results: Sequence[object], expect: Sequence[Mapping[str, object]], known: Mapping[str, str]
) -> list[str]:
    """Returns what is wrong with the results of a scenario's steps, one line each; none if all is as expected.

    Args:
        results: What the driver printed, one a step.
        expect: What has to be in each of them.
        known: The values that stand for `<…>` in what is expected.
    """
    if len(results) != len(expect):
        return [f"{len(results)} results for {len(expect)} steps: {_short(results)}"]
    comparison = _Comparison(results, known)
    wrong = []
    for number, (result, wanted) in enumerate(zip(results, expect, strict=True)):
        wrong += [f"step {number}{problem}" for problem in comparison.compare(result, wanted)]
    return wrong


@final
@dataclass(frozen=True, slots=True)
class _Comparison:
    results: Sequence[object]
    known: Mapping[str, str]

    def compare(self, value: object, wanted: object) -> Iterator[str]:
        match wanted:
            case {"min": int(least)}:
                fits = _is_number(value) and isinstance(value, int) and value >= least
            case {"in": list(choices)}:
                fits = value in choices
            case dict() if isinstance(value, dict):
                yield from self._compare_fields(value, wanted)
                return
            case str():
                fits = isinstance(value, str) and self._fits(value, wanted)
            case _:
                # 1 == True and 0 == False, in Python alone.
                fits = value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
        if not fits:
            yield f" is {_short(value)}, not {wanted}"

    def _compare_fields(self, value: Mapping[str, object], wanted: Mapping[str, object]) -> Iterator[str]:
        for key, inner in wanted.items():
            if key in value:
                yield from (f".{key}{problem}" for problem in self.compare(value[key], inner))
            else:
                yield f".{key} is missing in {_short(value)}"

    def _fits(self, value: str, wanted: str) -> bool:
        if wanted == "<uuid>":
            return _UUID.fullmatch(value) is not None
        if wanted == "<any text>":
            return value != ""
        if job := _JOB.fullmatch(wanted):
            return value == self._id_of(int(job[1]))
        return value == self.known.get(wanted, wanted)

    def _id_of(self, step: int) -> object:
        match self.results[step]:
            case {"ok": {"job": {"id": job_id}}}:
                return job_id
        return None


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
