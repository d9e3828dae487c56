"""The parts import each other in the directions that the design allows, and do what only they may do.

It reads the sources as they are; which targets depend on which is another test's affair.
"""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# Each part's folder, and what of this project it may import.
PARTS = {
    "jobworker.supervisor": ("libs/worker/jobworker/supervisor", {"jobworker.supervisor"}),
    "jobworker.worker": ("libs/worker/jobworker/worker", {"jobworker.supervisor", "jobworker.worker"}),
    "jobworker.daemon": ("services/daemon/jobworker/daemon", {"jobworker.daemon", "jobworker.worker", "jobworker.v1"}),
    "jobworker.client": ("clients/python/jobworker/client", {"jobworker.client", "jobworker.v1"}),
    "jobworker.cli": ("tools/cli/jobworker/cli", {"jobworker.cli", "jobworker.client", "jobworker.v1"}),
}
LIBRARY = ["jobworker.supervisor", "jobworker.worker"]
# Decisions: they do no I/O, so that their tests need none.
PURE = {
    "jobworker.worker": ["job.py", "errors.py", "arguments.py", "page_tokens.py", "refusals.py"],
    "jobworker.daemon": [
        "amounts.py",
        "audit_chain.py",
        "audit_entries.py",
        "audit_verifier.py",
        "counters.py",
        "errors.py",
        "permissions.py",
        "principals.py",
        "role_table.py",
        "status.py",
        "throttle.py",
        "token_buckets.py",
    ],
    "jobworker.client": [
        "address.py",
        "errors.py",
        "frames.py",
        "outage.py",
        "position.py",
        "requests.py",
        "resuming.py",
        "unreached.py",
    ],
}
PURE_OF_OS = {"PathLike", "fspath", "strerror"}
SIGNALLING = {"os.kill", "os.killpg", "signal.pidfd_send_signal", "signal.pthread_kill", "send_signal", "terminate"}
# Where a process is killed: of a supervisor's own jobs, of a dead supervisor's, and of a cgroup, which both ask for.
KILLERS = {
    ("libs/worker/jobworker/supervisor/signals.py", "os.kill"),
    ("libs/worker/jobworker/supervisor/sweep.py", "signal.pidfd_send_signal"),
    ("libs/worker/jobworker/supervisor/cgroups.py", "cgroup.kill"),
}
# Where a process is made other than by a spawn, and by what: a supervisor leaves its parent first of all, and has one
# thread; and a job is born in its cgroup, and becomes its user.
FORKERS = {
    ("libs/worker/jobworker/supervisor/main.py", "os.fork"),
    ("libs/worker/jobworker/supervisor/clone.py", "_libc.syscall"),
    ("libs/worker/jobworker/supervisor/cgroups.py", "clone_into"),
    ("libs/worker/jobworker/supervisor/inheritance.py", "clone_into"),
    ("libs/worker/jobworker/supervisor/spawn.py", "clone_into"),
}

# keyctl(2), for which there is no function in libc.
OTHER_CALLS = {(f"libs/worker/jobworker/supervisor/{file}", "_libc.syscall") for file in ("startup.py", "latency.py")}


@cache
def sources(part: str) -> dict[str, ast.Module]:
    """Returns a part's modules by their path."""
    found = sorted(Path(PARTS[part][0]).rglob("*.py"))
    assert len(found) > 3, f"the sources of {part} are not where they were: this test sees nothing"
    return {str(path): ast.parse(path.read_text()) for path in found}


def imports(module: ast.Module) -> Iterator[str]:
    """Yields the full names of the modules that a module imports, wherever in it."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports don't name the product"
            # `from jobworker import cli` is an import of jobworker.cli.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported(part: str) -> set[tuple[str, str]]:
    """Returns the modules of a part, each with a name that it imports."""
    return {(path, name) for path, module in sources(part).items() for name in imports(module)}


def used_names(node: ast.AST) -> Iterator[str]:
    """Yields the names that a piece of code uses: `f`, and of `m.f` both `m.f` and `f`."""
    for child in ast.walk(node):
        if isinstance(child, ast.Attribute):
            yield child.attr
            yield ast.unparse(child)
        elif isinstance(child, ast.Name):
            yield child.id


def calls(module: ast.Module) -> Iterator[ast.Call]:
    """Yields the calls that a module makes."""
    yield from (node for node in ast.walk(module) if isinstance(node, ast.Call))


def uses(part: str, names: set[str]) -> set[tuple[str, str]]:
    """Returns the modules of a part, each with one of the names that it uses."""
    return {(path, name) for path, module in sources(part).items() for name in names & set(used_names(module))}


@pytest.mark.parametrize("part", PARTS)
def test_parts_import_in_the_allowed_directions(part: str) -> None:
    """Of this project's packages, a part imports only those below it."""
    allowed = tuple(f"{name}." for name in PARTS[part][1])
    own = {(path, name) for path, name in imported(part) if name.partition(".")[0] == "jobworker"}
    assert {(path, name) for path, name in own if not f"{name}.".startswith(allowed)} == set()


@pytest.mark.parametrize("part", LIBRARY)
def test_the_library_needs_the_standard_library_alone(part: str) -> None:
    """Neither grpc nor generated code nor anything else that has to be installed."""
    roots = {(path, name.partition(".")[0]) for path, name in imported(part)}
    assert {(path, root) for path, root in roots if root not in sys.stdlib_module_names | {"jobworker"}} == set()


def test_the_supervisor_has_no_event_loop() -> None:
    """Every worker pays for what its supervisor imports; and one thread with one loop of its own is all it needs."""
    heavy = {"asyncio", "concurrent", "multiprocessing", "subprocess", "threading"}
    assert {(path, name) for path, name in imported("jobworker.supervisor") if name.partition(".")[0] in heavy} == set()


@pytest.mark.parametrize(("part", "file"), [(part, file) for part, files in PURE.items() for file in files])
def test_decisions_are_pure(part: str, file: str) -> None:
    """They neither wait nor touch the system: of os they use what computes alone."""
    module = sources(part)[f"{PARTS[part][0]}/{file}"]
    roots = {name.partition(".")[0] for name in imports(module)}
    assert roots & {"asyncio", "io", "pathlib", "select", "shutil", "signal", "socket", "subprocess", "time"} == set()
    of_os = {name.removeprefix("os.") for name in used_names(module) if name.startswith("os.")}
    assert of_os - PURE_OF_OS == set()
    assert {"open", "print"} & set(used_names(module)) == set()


def test_the_synchronous_client_has_no_event_loop() -> None:
    """The command line would wait for it at every start."""
    heavy = {"asyncio", "grpc.aio", "jobworker.client.aio"}
    found = {
        (path, name)
        for path, name in imported("jobworker.client")
        if f"{name}.".startswith(tuple(f"{one}." for one in heavy))
    }
    assert {path.rpartition("/")[2] for path, _ in found} <= {"__init__.py", "aio.py", "aio_reading.py"}


def signals_sent(part: str) -> set[tuple[str, str]]:
    """Returns the modules of a part, each with a way in which it ends or signals other processes than its own."""
    called = {
        (path, name)
        for path, module in sources(part).items()
        for call in calls(module)
        for name in SIGNALLING & {ast.unparse(call.func), ast.unparse(call.func).rpartition(".")[2]}
        if not call.args or ast.unparse(call.args[0]) != "os.getpid()"
    }
    # Opened to be written to, rather than looked for.
    return called | {
        (path, "cgroup.kill")
        for path, module in sources(part).items()
        for call in calls(module)
        if "cgroup.kill" in ast.unparse(call) and "O_WRONLY" in ast.unparse(call)
    }


@pytest.mark.parametrize("part", [part for part in PARTS if part != "jobworker.supervisor"])
def test_the_supervisor_alone_sends_signals(part: str) -> None:
    """Who asks where a process is killed finds one place."""
    assert signals_sent(part) == set()


def test_the_supervisor_sends_signals_in_few_places() -> None:
    """Each says why none reaches a recycled id; to look there is to have seen all of it."""
    assert signals_sent("jobworker.supervisor") == KILLERS
    assert uses("jobworker.supervisor", {"signals.send"}) == {
        ("libs/worker/jobworker/supervisor/children.py", "signals.send")
    }


@pytest.mark.parametrize("part", PARTS)
def test_nothing_sleeps(part: str) -> None:
    """To wait for something is to be told of it, never to look again later."""
    # Nobody tells a client when a server can be reached again.
    reconnecting = {
        ("clients/python/jobworker/client/aio_reading.py", "sleep"),
        ("clients/python/jobworker/client/reading.py", "sleep"),
    }
    assert uses(part, {"sleep"}) - reconnecting == set()


@pytest.mark.parametrize("part", PARTS)
def test_every_task_has_an_owner(part: str) -> None:
    """A task group's, that is: none is started by itself."""
    assert uses(part, {"ensure_future", "asyncio.create_task", "loop.create_task"}) == set()


@pytest.mark.parametrize("part", PARTS)
def test_no_python_runs_between_fork_and_exec(part: str) -> None:
    """Neither forks nor preexec_fn: with threads they break jobs. The supervisor, whose other one does nothing, may."""
    found = uses(part, {"os.fork", "os.forkpty", "clone_into", "_libc.syscall", "multiprocessing"}) - OTHER_CALLS
    assert {one for one in found if part != "jobworker.supervisor"} == set()
    assert {(path, name) for path, name in found if "clone.py" not in path or name != "clone_into"} <= FORKERS
    keywords = {
        (path, keyword.arg)
        for path, module in sources(part).items()
        for call in calls(module)
        for keyword in call.keywords
    }
    assert {(path, name) for path, name in keywords if name in {"preexec_fn", "user", "group", "extra_groups"}} == set()


def test_the_supervisor_makes_processes_in_few_places() -> None:
    """Else the test above would prove nothing."""
    found = uses("jobworker.supervisor", {"os.fork", "clone_into", "_libc.syscall"}) - OTHER_CALLS
    assert found - {("libs/worker/jobworker/supervisor/clone.py", "clone_into")} == FORKERS
