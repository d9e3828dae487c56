"""The supervisor's loop: requests from its worker, exits of its children, and the worker's own coming and going."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from jobworker.supervisor import failpoints
from jobworker.supervisor.connection import Connection
from jobworker.supervisor.jobs import Jobs
from jobworker.supervisor.latency import ask_for_short_slices
from jobworker.supervisor.protocol import VERSION, Acknowledge, Configure, End, Ended, Ready, Start, Stop
from jobworker.supervisor.records import Records
from jobworker.supervisor.running_logs import RunningLogs
from jobworker.supervisor.second_thread import run_in_second_thread
from jobworker.supervisor.startup import begin_anew, take

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobworker.supervisor.protocol import Event, Request

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2); linux/prctl.h
_RECEIVE_BYTES = 1 << 16
_LONGEST_WAIT_SECONDS = 86_400.0


class Supervisor:
    """Serves one worker at a time: one alone, whose jobs die with it, or one after another, that take jobs over."""

    def __init__(
        self,
        control: socket.socket | None,
        listener: socket.socket | None,
        records: Records | None,
        woken: socket.socket | None = None,
    ) -> None:
        """Prepares a supervisor.

        Args:
            control: The socket of its only worker; None if workers come by the listener.
            listener: A listening socket; None for one worker alone.
            records: Where jobs are recorded for workers to come; None for one worker alone.
            woken: What becomes readable at each SIGCHLD; None has it made, for which this must be the main thread.
        """
        self._poll = select.poll()
        self._logs = RunningLogs()
        self._jobs = Jobs(self._poll, self._logs, records)
        self._listener = listener
        self._woken = woken or _wake_on_sigchld()
        self._connection: Connection | None = None
        self._ending = False
        self._poll.register(self._woken.fileno(), select.POLLIN)
        self._poll.register(self._logs.fileno(), select.POLLIN)
        if control is not None:
            self._connect(control)
        elif listener is not None:
            self._accept(listener)  # the first worker, which connected before it started this process

    def __repr__(self) -> str:
        return f"<Supervisor {self._jobs!r} {'connected' if self._connection else 'alone'}>"

    def run(self) -> None:
        """Serves until nobody needs it: the worker is gone, and so are all jobs."""
        while self._connection is not None or self._jobs.is_needed or self._is_wanted():
            self._turn()
        if self._listener is not None:
            self._listener.close()
        self._jobs.kill_strays()

    def _is_wanted(self) -> bool:
        """Returns whether a worker is about to connect."""
        if self._listener is None or not self._jobs.can_be_found:
            return False
        poll = select.poll()
        poll.register(self._listener.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def _turn(self) -> None:
        self._listen()
        timeout = self._jobs.timeout()
        wait = None if timeout is None else min(timeout, _LONGEST_WAIT_SECONDS) * 1000
        # In one go, so that a start and the exits it may cause are seen in order.
        ready = dict(self._poll.poll(wait))
        if self._connection is not None:
            control, worker = self._connection.descriptors()
            if control in ready or worker in ready:
                self._receive(is_dead=worker in ready)
        if self._woken.fileno() in ready:
            self._woken.recv(_RECEIVE_BYTES)
            self._send(self._jobs.reap())
        if self._logs.fileno() in ready:
            self._logs.receive()
        for descriptor, events in ready.items():
            if events & select.POLLPRI:
                self._send(self._jobs.cgroup_changed(descriptor))
        self._send(self._jobs.expire())
        if self._ending and not self._jobs.running and self._connection is not None:
            self._ending = False
            self._send([Ended()])
        if self._listener is not None and self._listener.fileno() in ready and self._connection is None:
            self._accept(self._listener)
        if self._connection is None and self._jobs.running and not self._jobs.can_be_found:
            self._send(self._jobs.kill_all())  # nobody would ever find these jobs again

    def _listen(self) -> None:
        """Lets a worker come if there is none.

        The next one may come before it is known here that the one before it is dead; it waits until all that was asked
        for by then is done.
        """
        if self._listener is not None:
            self._poll.register(self._listener.fileno(), 0 if self._connection else select.POLLIN)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the worker gave up meanwhile
            control, _ = listener.accept()
            self._connect(control)

    def _connect(self, control: socket.socket) -> None:
        try:
            self._connection = Connection(control, self._poll)
        except ConnectionError:
            control.close()
            return
        self._ending = False
        self._send([Ready(VERSION, os.getpid(), self._jobs.running)])

    def _receive(self, *, is_dead: bool) -> None:
        """Carries out the requests that have come; of a dead worker, all that it had sent."""
        connection = self._connection
        try:
            while connection is not None and self._connection is connection:
                for request in connection.receive():
                    self._send(self._carry_out(request))
                if not is_dead:
                    return
        except (BlockingIOError, ConnectionError, ValueError):
            self._disconnect()  # after what makes no sense, too: whoever says that is no worker

    def _carry_out(self, request: Request) -> Iterable[Event]:
        match request:
            case Start():
                return [self._jobs.start(request)]
            case Stop(job_id=job_id, grace_seconds=grace_seconds):
                return self._jobs.stop(job_id, grace_seconds)
            case Acknowledge(job_id=job_id):
                self._jobs.acknowledge(job_id)
            case Configure():
                self._jobs.configure(request)
                return self._jobs.tell()
            case End():
                self._ending = True
                return self._jobs.kill_all()
        return []

    def _send(self, events: Iterable[Event]) -> None:
        if self._connection is None:
            for _ in events:
                pass  # what happens is recorded; the next worker is told
            return
        try:
            self._connection.send(events)
        except ConnectionError:
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is None:
            return
        self._connection.close()
        self._connection = None
        self._jobs.record_again()
        if self._ending or self._listener is None:
            self._send(self._jobs.kill_all())


def _wake_on_sigchld() -> socket.socket:
    """Returns a socket that becomes readable at each SIGCHLD."""
    reading, writing = socket.socketpair()
    for end in (reading, writing):
        end.settimeout(0)
    signal.set_wakeup_fd(writing.detach(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _do_nothing)
    return reading


def _do_nothing(_number: int, _frame: object) -> None:
    """Handles a signal, so that it neither ends this process nor is ignored by the jobs."""


def _become_subreaper() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def main(arguments: list[str]) -> None:
    """Runs a supervisor.

    Args:
        arguments: `name=value` each. `control`: the descriptor of the socket of the only worker; `scratch`: a directory
            to remove when all is over. Or `listener`: the descriptor of a listening socket; `lock`: that of a locked
            file, held as long as this process lives, which the process id is written to; `records`: the directory of
            the records. `files`: the soft limit of open files. `failpoint`: a step to crash at.
    """
    given = dict(argument.split("=", 1) for argument in arguments)
    held = {name: take(int(given[name])) for name in ("control", "listener", "lock") if name in given}
    failpoints.arm(given.get("failpoint", ""))
    # Signals meant for the worker's terminal or service don't end its jobs behind its back: closing the socket does.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _do_nothing)
    begin_anew(int(given["files"]) if "files" in given else None)
    if "lock" in held:
        _leave_parent()
        _sign(held["lock"])
    _become_subreaper()
    woken = _wake_on_sigchld()

    def run() -> None:
        ask_for_short_slices()
        Supervisor(
            _socket(held.get("control")),
            _socket(held.get("listener")),
            Records(given["records"], held=True) if "records" in given else None,
            woken,
        ).run()

    try:
        run_in_second_thread(run)
    finally:
        if "scratch" in given:
            _remove(given["scratch"])


def _socket(descriptor: int | None) -> socket.socket | None:
    return None if descriptor is None else socket.socket(fileno=descriptor)


def _leave_parent() -> None:
    """Goes on as nobody's child: the worker that started this process need not be there to reap it."""
    if os.fork():
        os._exit(0)


def _sign(lock: int) -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _remove(directory: str) -> None:
    import shutil  # noqa: PLC0415 - 5 ms and 1 MB that only the end needs

    shutil.rmtree(directory, ignore_errors=True)
