"""What a refused start means to its caller: each errno is an error of its own."""

from __future__ import annotations

import errno

import pytest

from jobworker.supervisor.protocol import STEP_LOG, STEP_SPAWN
from jobworker.worker import (
    CommandTooLongError,
    InvalidArgumentError,
    ProgramFormatError,
    ProgramNotExecutableError,
    ProgramNotFoundError,
    ResourceExhaustedError,
    SupervisorError,
    WorkerError,
)
from jobworker.worker.refusals import exhausted, refusal

EXHAUSTED = {
    errno.EAGAIN: "processes",
    errno.ENOMEM: "memory",
    errno.EMFILE: "file descriptors",
    errno.ENFILE: "file descriptors",
    errno.ENOSPC: "disk space",
    errno.EDQUOT: "disk quota",
}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errno.ENOENT, ProgramNotFoundError),
        (errno.ENOTDIR, ProgramNotFoundError),
        (errno.ENAMETOOLONG, ProgramNotFoundError),
        (errno.ELOOP, ProgramNotFoundError),
        (errno.EACCES, ProgramNotExecutableError),
        (errno.EPERM, ProgramNotExecutableError),
        (errno.EISDIR, ProgramNotExecutableError),
        (errno.ETXTBSY, ProgramNotExecutableError),
        (errno.ENOEXEC, ProgramFormatError),
        (errno.EINVAL, ProgramFormatError),
        (errno.ELIBBAD, ProgramFormatError),
        (errno.E2BIG, CommandTooLongError),
        (errno.EIO, SupervisorError),
        (0, SupervisorError),
    ],
)
def test_a_failed_execution_has_an_error_of_its_own(error: int, kind: type[WorkerError]) -> None:
    """Who called wrongly is told so; what nobody foresaw is not blamed on the caller."""
    found = refusal(["prog", "x"], STEP_SPAWN, error)
    assert type(found) is kind
    assert isinstance(found, InvalidArgumentError) == (kind is not SupervisorError)


@pytest.mark.parametrize("step", [STEP_LOG, STEP_SPAWN])
@pytest.mark.parametrize(("error", "resource"), EXHAUSTED.items())
def test_what_ran_out_is_named_whatever_the_step(step: str, error: int, resource: str) -> None:
    """A full disk or table is never the caller's fault."""
    found = refusal(["prog"], step, error)
    assert isinstance(found, ResourceExhaustedError)
    assert found.resource == resource


@pytest.mark.parametrize("error", [errno.ENOENT, errno.EACCES, errno.EROFS])
def test_a_log_that_cannot_be_made_is_not_the_programs_fault(error: int) -> None:
    """ENOENT for the output log must not say that the program is missing."""
    assert type(refusal(["prog"], STEP_LOG, error)) is SupervisorError


def test_a_refusal_names_the_program() -> None:
    """As the caller named it, quoted where a shell would need it."""
    found = refusal(["my prog"], STEP_SPAWN, errno.ENOENT)
    assert isinstance(found, ProgramNotFoundError)
    assert (found.program, str(found).split(":")[0]) == ("my prog", "'my prog'")


def test_an_argument_list_is_measured_in_bytes() -> None:
    """The kernel counts each word and the NUL after it; so does the message."""
    assert "list of 6 bytes" in str(refusal(["é", "\udcff", ""], STEP_SPAWN, errno.E2BIG))


def test_other_errors_are_no_exhaustion() -> None:
    """Only what says that something ran out is taken for it."""
    assert exhausted(errno.ENOENT) is None
    assert exhausted(0) is None
