"""Which role may call which method: the one table, and the one decision that every call goes through; no I/O."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from jobworker.daemon.errors import AccessDeniedError, PermissionTableError, RoleTooLowError, UnknownMethodError
from jobworker.daemon.principals import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LEAST_ROLE: Mapping[str, Role] = MappingProxyType(
    {
        "/grpc.health.v1.Health/Check": Role.LOG,
        "/grpc.health.v1.Health/List": Role.LOG,
        "/grpc.health.v1.Health/Watch": Role.LOG,
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Role.LOG,
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Role.LOG,
        "/jobworker.v1.JobWorkerService/DeleteJob": Role.FULL,
        "/jobworker.v1.JobWorkerService/GetJob": Role.LOG,
        "/jobworker.v1.JobWorkerService/ListJobs": Role.LOG,
        "/jobworker.v1.JobWorkerService/ReadLogs": Role.FULL,
        "/jobworker.v1.JobWorkerService/StartJob": Role.FULL,
        "/jobworker.v1.JobWorkerService/StopJob": Role.FULL,
    }
)
"""The least role that may call each method; a method that is not in it can't be called, nor even registered."""


def authorize(role: Role | None, method: str) -> None:
    """Returns if a caller may call a method, whatever its arity.

    Args:
        role: The caller's role; None for one that the role table does not know.
        method: The method's full name, such as `/jobworker.v1.JobWorkerService/GetJob`.

    Raises:
        AccessDeniedError: If the caller has no role; it does not even learn which methods there are.
        UnknownMethodError: If there is no such method.
        RoleTooLowError: If the method needs a higher role.
    """
    if role is None:
        raise AccessDeniedError
    required = LEAST_ROLE.get(method)
    if required is None:
        raise UnknownMethodError
    if role < required:
        raise RoleTooLowError(role.name, required.name)


def check_complete(methods: Iterable[str]) -> None:
    """Returns if the table has an entry for each registered method, and no other.

    Args:
        methods: The full names of all methods that the server is about to serve.

    Raises:
        PermissionTableError: If the two differ; a bug of ours, and the daemon must not start.
    """
    registered = frozenset(methods)
    problems = [f"no entry for {method}" for method in sorted(registered - LEAST_ROLE.keys())]
    problems += [f"an entry for {method}, which is not served" for method in sorted(LEAST_ROLE.keys() - registered)]
    if problems:
        raise PermissionTableError(f"the permission table has {', '.join(problems)}; mend it in permissions.py")
