"""The supervisor's loop: requests from its worker, exits of its children, and the worker's own end."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from jobworker.supervisor.children import Children
from jobworker.supervisor.protocol import Event, Kill, Ready, Refused, Start, Started, decode, encode
from jobworker.supervisor.spawn import SpawnError, given_environment, spawn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2); linux/prctl.h
_RECEIVE_BYTES = 1 << 16


class Supervisor:
    """Serves one worker over one socket, until the worker closes it or dies."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children = Children()
        self._stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._environment = given_environment()
        self._unread = bytearray()
        self._worker = _open_peer(control)
        self._woken = _wake_on_sigchld()

    def __repr__(self) -> str:
        return f"<Supervisor {self._children!r}>"

    def run(self) -> None:
        """Serves until the worker is gone, and returns when all of its jobs' processes are."""
        try:
            self._serve()
        finally:
            self._send(self._children.end_all())

    def _serve(self) -> None:
        poll = select.poll()
        for descriptor in (self._control.fileno(), self._woken.fileno(), self._worker):
            poll.register(descriptor, select.POLLIN)
        self._send([Ready(os.getpid())])
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._worker in ready:
                return
            if self._woken.fileno() in ready:
                self._woken.recv(_RECEIVE_BYTES)
                self._send(self._children.reap())
            if self._control.fileno() in ready and not self._receive():
                return

    def _receive(self) -> bool:
        """Carries out the requests that have come; False when the worker has closed the socket."""
        try:
            received = self._control.recv(_RECEIVE_BYTES)
        except ConnectionResetError:
            return False  # the worker died before it could read an answer
        self._unread += received
        if b"\n" in received:
            *lines, self._unread = self._unread.split(b"\n")
            for line in lines:
                self._send(self._carry_out(line))
        return bool(received)

    def _carry_out(self, line: bytes | bytearray) -> Iterator[Event]:
        match decode(line):
            case Start() as request:
                yield self._start(request)
            case Kill(job_id=job_id):
                self._children.kill(job_id)

    def _start(self, request: Start) -> Event:
        now = time.time_ns()
        try:
            pid = spawn(request, self._stdin, self._environment)
        except SpawnError as error:
            return Refused(request.job_id, error.step, error.errno)
        self._children.add(request.job_id, pid)
        return Started(request.job_id, pid, now)

    def _send(self, events: Iterable[Event]) -> None:
        for event in events:
            message = encode(event)
            while message:
                try:
                    message = message[self._control.send(message, socket.MSG_DONTWAIT) :]
                except BlockingIOError:
                    if not self._has_room():
                        break
                except ConnectionError:
                    break  # it died; the poll says so next

    def _has_room(self) -> bool:
        """Waits until the worker takes more; False if it is dead, which a full socket doesn't say."""
        # To wait for one that reads slowly is right: it loses nothing, and jobs need nothing from here.
        poll = select.poll()
        poll.register(self._control.fileno(), select.POLLOUT)
        poll.register(self._worker, select.POLLIN)
        return self._worker not in {descriptor for descriptor, _ in poll.poll()}


def _open_peer(control: socket.socket) -> int:
    """Returns a pidfd of the worker: a copy of the socket in a forked child of its must not hide its death."""
    pid = int.from_bytes(control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4), sys.byteorder)
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise SystemExit from None  # it died already, and there is no job


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
        arguments: The control socket's descriptor, and optionally a directory to remove when all is over.
    """
    descriptor, *scratch = arguments
    control = socket.socket(fileno=int(descriptor))
    control.set_inheritable(False)
    # Signals meant for the worker's terminal or service don't end its jobs behind its back: closing the socket does.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _do_nothing)
    _become_subreaper()
    try:
        Supervisor(control).run()
    finally:
        for directory in scratch:
            _remove(directory)


def _remove(directory: str) -> None:
    import shutil  # noqa: PLC0415 - 5 ms and 1 MB that only the end needs

    shutil.rmtree(directory, ignore_errors=True)
