"""The options that say how jobs are run and kept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobworker.daemon import options
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.inherit_options import InheritOptions
from jobworker.daemon.job_options import StoreKind
from jobworker.daemon.values import variable_of
from jobworker.worker import KeepFinished

if TYPE_CHECKING:
    from jobworker.daemon.job_options import JobOptions

_HOME = {"HOME": "/home/user"}


def _parse(*arguments: str, **environment: str) -> JobOptions:
    return options.parse(arguments, {**_HOME, **environment}, 1000).jobs


def test_defaults() -> None:
    """Without options jobs are kept, in bounds, where the user's state belongs, and end with the daemon."""
    jobs = _parse()
    assert jobs.state_dir == Path("/home/user/.local/state/jobworker")
    assert jobs.store is StoreKind.SQLITE
    assert not jobs.keep_jobs
    assert not jobs.isolate_owners
    assert jobs.cgroup_root == "auto"
    assert jobs.log_limit == 1 << 30
    assert jobs.keep_finished == KeepFinished(10_000, timedelta(days=30))
    assert jobs.inherits == InheritOptions(run_as=None, directory="/", no_new_privileges=False)


@pytest.mark.parametrize(
    ("option", "value", "attribute", "expected"),
    [
        ("--state-dir", "/elsewhere", "state_dir", Path("/elsewhere")),
        ("--store", "memory", "store", StoreKind.MEMORY),
        ("--cgroup-root", "off", "cgroup_root", "off"),
        ("--log-limit", "64K", "log_limit", 1 << 16),
        ("--keep-finished", "7", "keep_finished", KeepFinished(7, None)),
    ],
)
def test_from_line_and_environment(option: str, value: str, attribute: str, expected: object) -> None:
    """Each can come from the command line or the environment, and the command line wins."""
    variable = variable_of(option)
    assert getattr(_parse(f"{option}={value}"), attribute) == expected
    assert getattr(_parse(**{variable: value}), attribute) == expected
    assert getattr(_parse(f"{option}={value}", **{variable: "nonsense"}), attribute) == expected
    assert _parse(**{variable: ""}) == _parse()


@pytest.mark.parametrize("flag", ["--keep-jobs", "--isolate-owners"])
def test_flags(flag: str) -> None:
    """Each can come from either side."""
    attribute = flag.removeprefix("--").replace("-", "_")
    assert getattr(_parse(flag), attribute)
    assert getattr(_parse(**{variable_of(flag): "1"}), attribute)
    assert not getattr(_parse(**{variable_of(flag): "0"}), attribute)


@pytest.mark.parametrize(
    ("option", "value", "attribute"),
    [("--run-jobs-as", "nobody", "run_as"), ("--job-directory", "/elsewhere", "directory")],
)
def test_what_jobs_inherit(option: str, value: str, attribute: str) -> None:
    """Each can come from the command line or the environment, and the command line wins."""
    variable = variable_of(option)
    assert getattr(_parse(f"{option}={value}").inherits, attribute) == value
    assert getattr(_parse(**{variable: value}).inherits, attribute) == value
    assert getattr(_parse(f"{option}={value}", **{variable: "/nonsense"}).inherits, attribute) == value
    assert _parse(**{variable: ""}) == _parse()
    with pytest.raises(ConfigurationError, match=f"{option} is empty"):
        _parse(f"{option}=")


def test_no_new_privileges() -> None:
    """The flag can come from either side."""
    assert _parse("--no-new-privileges").inherits.no_new_privileges
    assert _parse(JOBWORKER_NO_NEW_PRIVILEGES="1").inherits.no_new_privileges
    with pytest.raises(ConfigurationError, match="JOBWORKER_NO_NEW_PRIVILEGES is 'perhaps'"):
        _parse(JOBWORKER_NO_NEW_PRIVILEGES="perhaps")


def test_a_memory_keeps_no_jobs() -> None:
    """Jobs that nobody could take back are not left running."""
    with pytest.raises(ConfigurationError, match="--keep-jobs can't be with --store=memory"):
        _parse("--keep-jobs", "--store=memory")


def test_a_memory_needs_no_state_directory() -> None:
    """What is forgotten leaves no output behind in a directory that would stay, unless one was named."""
    assert _parse("--store=memory").state_dir is None
    assert _parse("--store=memory", "--state-dir=/elsewhere").state_dir == Path("/elsewhere")


def test_no_home() -> None:
    """A user whose environment doesn't say where state belongs has to; a memory needs no place."""
    with pytest.raises(ConfigurationError, match="give --state-dir"):
        _parse(HOME="")
    assert _parse("--state-dir=/elsewhere", HOME="").state_dir == Path("/elsewhere")
    assert _parse("--store=memory", HOME="").state_dir is None


def test_paths_start_where_the_user_typed() -> None:
    """Under `bazel run` paths are relative to the user's directory, not to the runfiles tree."""
    jobs = _parse(
        "--state-dir=state", "--cgroup-root=jobs", "--job-directory=work", BUILD_WORKING_DIRECTORY="/home/user"
    )
    assert jobs.state_dir == Path("/home/user/state")
    assert jobs.cgroup_root == "/home/user/jobs"
    assert jobs.inherits.directory == "/home/user/work"


@pytest.mark.parametrize(
    ("option", "value", "culprit"),
    [
        ("--store", "postgres", "'postgres'; give sqlite or memory"),
        ("--keep-jobs", "perhaps", "JOBWORKER_KEEP_JOBS is 'perhaps'"),
        ("--isolate-owners", "perhaps", "JOBWORKER_ISOLATE_OWNERS is 'perhaps'"),
        ("--log-limit", "much", "--log-limit: 'much'"),
        ("--keep-finished", "some", "--keep-finished: 'some'"),
    ],
)
def test_impossible_values(option: str, value: str, culprit: str) -> None:
    """A value that can't be is named, with what could be."""
    with pytest.raises(ConfigurationError, match=culprit):
        _parse(**{variable_of(option): value})


@pytest.mark.parametrize("option", ["--state-dir", "--store", "--cgroup-root", "--log-limit", "--keep-finished"])
def test_typed_without_a_value(option: str) -> None:
    """An option with nothing after its = is a slip, as of a shell variable that isn't set, and not its default."""
    with pytest.raises(ConfigurationError, match=f"{option} is empty"):
        _parse(f"{option}=")
