"""The permission table and its one decision."""

from __future__ import annotations

import pytest

from jobworker.daemon.errors import AccessDeniedError, PermissionTableError, RoleTooLowError, UnknownMethodError
from jobworker.daemon.permissions import LEAST_ROLE, authorize, check_complete
from jobworker.daemon.principals import Role
from jobworker.v1 import job_worker_pb2 as pb

_FULL_ONLY = {f"/jobworker.v1.JobWorkerService/{name}" for name in ("StartJob", "StopJob", "ReadLogs", "DeleteJob")}


@pytest.mark.parametrize("method", sorted(LEAST_ROLE))
def test_full_may_call_everything(method: str) -> None:
    """FULL is allowed each method."""
    authorize(Role.FULL, method)


@pytest.mark.parametrize("method", sorted(LEAST_ROLE))
def test_log_may_look_but_not_read_logs(method: str) -> None:
    """LOG is allowed all but starting, stopping, deleting and reading logs."""
    if method in _FULL_ONLY:
        with pytest.raises(RoleTooLowError, match="needs FULL"):
            authorize(Role.LOG, method)
    else:
        authorize(Role.LOG, method)


@pytest.mark.parametrize("method", [*sorted(LEAST_ROLE), "/no.such/Method", ""])
def test_strangers_learn_nothing(method: str) -> None:
    """A stranger gets one and the same refusal, whether a method exists or not."""
    with pytest.raises(AccessDeniedError, match=r"^permission denied$"):
        authorize(None, method)


def test_unknown_method() -> None:
    """Who has a role is told that a method doesn't exist."""
    with pytest.raises(UnknownMethodError):
        authorize(Role.LOG, "/jobworker.v1.JobWorkerService/NoSuch")


def test_table_has_the_whole_service() -> None:
    """Each method of the proto's service is in the table, so a new one can't be forgotten."""
    service = pb.DESCRIPTOR.services_by_name["JobWorkerService"]
    prefix = f"/{service.full_name}/"
    assert {prefix + method.name for method in service.methods} == {
        name for name in LEAST_ROLE if name.startswith(prefix)
    }


def test_complete_table_passes() -> None:
    """The check has nothing to say when table and methods agree."""
    check_complete(LEAST_ROLE)


def test_method_without_entry_stops_the_start() -> None:
    """A method that nobody thought about is not served."""
    with pytest.raises(PermissionTableError, match=r"no entry for /a[.]B/New"):
        check_complete([*LEAST_ROLE, "/a.B/New"])


def test_entry_without_method_stops_the_start() -> None:
    """An entry that protects nothing, such as a misspelt one, is found."""
    with pytest.raises(PermissionTableError, match="Health/Check, which is not served"):
        check_complete(LEAST_ROLE.keys() - {"/grpc.health.v1.Health/Check"})
