"""Postpones imports of what no verb uses to its first use: libraries bring along more than this program needs."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# What each takes of a start, in CPU time, with all that only it imports: of the 60 ms of `import grpc` 30 are left.
_MODULES = {
    "asyncio",  # gRPC's asyncio face; 14 ms with subprocess and ssl
    "calendar",  # times of protobuf in words; 1 ms with locale
    "google.protobuf.internal.python_message",  # protobuf where it has no compiled part; 5 ms
    "grpc.aio",  # gRPC's asyncio face itself; 6 ms with typing_extensions
    "inspect",  # gRPC's servers; 4 ms with ast, dis and tokenize
    "socket",  # gRPC's asyncio face; 1 ms with selectors
}


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Has those modules, if they are imported in the context, load when one of their attributes is first asked for."""
    finder = _PostponingFinder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _PostponingFinder:
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname in _MODULES else None
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec
