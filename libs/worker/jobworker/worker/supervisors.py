"""Where a worker's supervisor comes from: a process of its own, or the one that its state directory has already."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeAlias, final

import jobworker.supervisor
from jobworker.supervisor import failpoints
from jobworker.supervisor.connection import CREDENTIALS
from jobworker.supervisor.protocol import VERSION, End
from jobworker.supervisor.records import boot_id
from jobworker.worker.errors import StateDirectoryError, SupervisorError, SupervisorVersionError
from jobworker.worker.private_files import write_private
from jobworker.worker.refusals import exhausted
from jobworker.worker.state_dir import directory_error, freed, holder, open_lock, try_lock
from jobworker.worker.supervisor_client import SupervisorClient, exit_of
from jobworker.worker.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from jobworker.worker.errors import WorkerError
    from jobworker.worker.state_dir import StateDirectory

    Bury: TypeAlias = Callable[[bool], Awaitable[None]]

_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(jobworker.supervisor.__file__)), "__main__.py")

PATIENCE_SECONDS = 10.0
"""How long a supervisor that is going may take; it has nothing to do then but to exit."""


class Supervisors(Protocol):
    """Gives a worker its supervisor."""

    async def connect(self, bury: Bury) -> SupervisorClient:
        """Returns a connection to a supervisor that is ready.

        Args:
            bury: What to do if the supervisor before it is gone: nobody else can start one until it returns. It is
                given whether the host has run since then.

        Raises:
            ResourceExhaustedError: If there are no processes or file descriptors left for it; the host's fault.
            StateDirectoryError: If the state directory can't be used; the fault of whoever chose it.
            SupervisorVersionError: If it is of another version and has jobs; who upgrades has to act.
            SupervisorError: If it does not start; the host's fault, or a bug of ours.
        """

    async def ended(self, client: SupervisorClient) -> None:
        """Returns once a supervisor that was asked to end has exited."""


@final
class PrivateSupervisor:
    """A supervisor of one's own, which kills all of its jobs when this process ends or dies."""

    def __init__(self, environment: Mapping[str, str], scratch: Path | None) -> None:
        """Prepares a supervisor.

        Args:
            environment: The supervisor's own environment.
            scratch: A directory that the supervisor removes when it ends, so that nothing is left even when this
                process is killed; None for none.
        """
        self._environment = environment
        self._arguments = [_files(), *([] if scratch is None else [f"scratch={scratch}"])]
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<PrivateSupervisor pid={self._process and self._process.pid}>"

    async def connect(self, bury: Bury) -> SupervisorClient:  # noqa: ARG002 - see there
        """See `Supervisors.connect`; there was none before it."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                arguments = [f"control={theirs.fileno()}", *self._arguments]
                self._process = _launch(arguments, [theirs.fileno()], self._environment)
            except BaseException:
                ours.close()
                raise
        try:
            client = await SupervisorClient.open(ours)
        except BaseException:
            self._process.wait()  # it ends at once, since nobody is at the other end of its socket
            raise
        if client is None:
            code = self._process.wait()
            raise SupervisorError(f"the supervisor ended with code {code} before it was ready")
        return client

    async def ended(self, client: SupervisorClient) -> None:  # noqa: ARG002 - see there
        """See `Supervisors.ended`."""
        if self._process is not None:
            try:
                await exit_of(self._process.pid)
            finally:
                self._process.wait()


@final
class SharedSupervisor:
    """The supervisor of a state directory: the one that runs there, or else a new one, which outlives this process."""

    def __init__(self, environment: Mapping[str, str], state: StateDirectory) -> None:
        self._environment = environment
        self._state = state
        self._files = _files()

    def __repr__(self) -> str:
        return f"<SharedSupervisor {self._state.path}>"

    async def connect(self, bury: Bury) -> SupervisorClient:
        """See `Supervisors.connect`."""
        try:
            while (client := await self._begin_or_find(bury)) is None:
                # It is about to go.
                if not await freed(self._state.supervisor_lock, PATIENCE_SECONDS):
                    raise self._no_answer()
        except OSError as error:
            raise directory_error(self._state.path, error) from error
        return client

    async def ended(self, client: SupervisorClient) -> None:
        """See `Supervisors.ended`."""
        await exit_of(client.ready.pid)

    async def _begin_or_find(self, bury: Bury) -> SupervisorClient | None:
        lock = open_lock(self._state.supervisor_lock)
        try:
            if try_lock(lock):
                # Whoever held it is dead, and no other can come before this one.
                boot = boot_id()
                has_run_since = _read(self._state.boot_id) == boot
                await bury(has_run_since)
                if not has_run_since:
                    write_private(self._state.boot_id, boot)
                return await self._begin(lock)
        finally:
            os.close(lock)
        client = await self._find()
        return client if client is not None and await self._is_of_this_version(client) else None

    async def _begin(self, lock: int) -> SupervisorClient:
        with socket.socket(socket.AF_UNIX) as listener:
            with _address(self._state) as address:
                with suppress(FileNotFoundError):
                    os.unlink(address)
                os.fchmod(listener.fileno(), 0o600)  # before it has a name that others could connect to
                listener.bind(address)
                listener.listen()
                # Before there is anyone to accept it, so that the supervisor knows whom it serves first.
                control = _connect(address)
            descriptors = [listener.fileno(), lock]
            arguments = [f"listener={descriptors[0]}", f"lock={lock}", f"records={self._state.records}", self._files]
            try:
                launched = self._launch_logged(arguments, descriptors)
                # It forks, so that it is nobody's child and no zombie of this process; what is started ends at once.
                await in_thread(launched.wait)
            except BaseException:
                control.close()
                raise
        client = await SupervisorClient.open(control)
        if client is None:
            raise SupervisorError(f"the supervisor ended before it was ready; see {self._state.supervisor_log}")
        return client

    def _launch_logged(self, arguments: Sequence[str], descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
        # Not this process's stderr, which it is to outlive.
        log = os.open(self._state.supervisor_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            return _launch(arguments, descriptors, self._environment, stderr=log)
        finally:
            os.close(log)

    async def _find(self) -> SupervisorClient | None:
        """Connects to the supervisor that is there; None if it is about to go."""
        with _address(self._state) as address:
            try:
                control = _connect(address)
            except (ConnectionRefusedError, FileNotFoundError):
                return None
        self._check_peer(control)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await SupervisorClient.open(control)
        except TimeoutError:
            raise self._no_answer() from None

    def _check_peer(self, control: socket.socket) -> None:
        """Raises an error, and closes a connection, if another user listens at its other end, and would be obeyed."""
        _, user, _ = CREDENTIALS.unpack(control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
        if user != os.geteuid():
            control.close()
            problem = f"at its supervisor's socket listens user {user}; end that process, and see who may write here"
            raise StateDirectoryError(self._state.path, problem)

    def _no_answer(self) -> StateDirectoryError:
        pid = holder(self._state.supervisor_lock) or "unknown"
        problem = f"its supervisor, process {pid}, does not answer; kill that process, whose jobs are then lost"
        return StateDirectoryError(self._state.path, problem)

    async def _is_of_this_version(self, client: SupervisorClient) -> bool:
        """Returns whether the supervisor is; one of another version that has no job is ended."""
        ready = client.ready
        if ready.version == VERSION:
            return True
        try:
            if ready.jobs:
                raise SupervisorVersionError(self._state.path, ready.version, VERSION, ready.jobs)
            client.send(End())
            async for _ in client.events():
                break  # it has said Ended
        finally:
            await client.close()
        return False


class _address:  # noqa: N801 - used as a function, as contextmanagers are
    """A short path of a state directory's socket: that of a socket may have 107 bytes, unix(7)."""

    def __init__(self, state: StateDirectory) -> None:
        self._socket = state.supervisor_socket

    def __enter__(self) -> str:
        self._directory = os.open(self._socket.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._directory}/{self._socket.name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._directory)


def _files() -> str:
    """Returns the argument that gives jobs this process's limit of open files as it is now.

    It may be raised when the next supervisor is started, for this process's sake: more than 1,024 breaks select(2).
    """
    return f"files={resource.getrlimit(resource.RLIMIT_NOFILE)[0]}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (FileNotFoundError, ValueError):
        return ""


def _connect(address: str) -> socket.socket:
    control = socket.socket(socket.AF_UNIX)
    try:
        control.connect(address)
    except BaseException:
        control.close()
        raise
    return control


def _launch(
    arguments: Sequence[str], descriptors: Sequence[int], environment: Mapping[str, str], stderr: int | None = None
) -> subprocess.Popen[bytes]:
    step = os.environ.get(failpoints.VARIABLE)
    try:
        return subprocess.Popen(
            [sys.executable, "-IS", _PROGRAM, *arguments, *([f"failpoint={step}"] if step else [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=dict(environment),
            pass_fds=descriptors,
            # A Ctrl-C at the worker's terminal is for the worker.
            start_new_session=True,
        )
    except OSError as error:
        raise _not_started(error) from error


def _not_started(error: OSError) -> WorkerError:
    return exhausted(error.errno or 0) or SupervisorError(f"the supervisor did not start: {error}")
