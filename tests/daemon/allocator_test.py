"""The allocator can be told here; what that is good for is measured elsewhere."""

from __future__ import annotations

import os

import pytest

from jobworker.daemon.allocator import bound_arenas


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="another C library")
def test_glibc_takes_it() -> None:
    """Glibc knows the parameter, and says so."""
    assert bound_arenas()
