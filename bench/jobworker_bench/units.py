"""What figures are measured in, and how such a value is written for people."""

from __future__ import annotations

from enum import StrEnum, unique

TIMES = "\N{MULTIPLICATION SIGN}"


@unique
class Unit(StrEnum):
    """What a figure is measured in; the member's value stands in the JSON."""

    PER_SECOND = "1/s"
    SECONDS = "s"
    BYTES = "bytes"
    BYTES_PER_SECOND = "bytes/s"
    RATIO = "ratio"
    CORES = "cores"


def shown(value: float, unit: Unit) -> str:
    """Returns a value with its unit; rates of bytes are in 10^6 bytes, sizes in powers of 1024."""
    match unit:
        case Unit.PER_SECOND:
            return f"{value:,.0f}/s"
        case Unit.SECONDS:
            return _duration(value)
        case Unit.BYTES:
            return _size(value)
        case Unit.BYTES_PER_SECOND:
            return f"{value / 1e6:,.0f} MB/s"
        case Unit.RATIO:
            return f"{value:.2f} {TIMES}"
        case Unit.CORES:
            return f"{value * 100:.3f} % of a core"


def _duration(seconds: float) -> str:
    for scale, unit in ((1, "s"), (1e3, "ms")):
        if abs(seconds) * scale >= 1:
            return f"{seconds * scale:.2f} {unit}"
    return f"{seconds * 1e6:.0f} µs"


def _size(count: float) -> str:
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if abs(count) >= 1 << shift:
            return f"{count / (1 << shift):.1f} {unit}"
    return f"{count:.0f} bytes"
