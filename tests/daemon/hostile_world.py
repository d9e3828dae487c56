"""A good client that goes on while a daemon is attacked, and a look at what the daemon spends meanwhile."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from daemon_world import follow, read_until, shell
from jobworker.v1 import job_worker_pb2 as pb
from jobworker_hostile import Target
from jobworker_testing import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daemon_world import World

MOST_BYTES = 256 << 20
"""How much a daemon may grow under an attack: several times what each was seen to cost, and no more than a host has."""

MOST_LINES = 200
"""How many lines an attack may have the daemon write, beside those of the good client's calls."""

_SECONDS = 30.0
"""After which a good client gives up: it is not served then."""


def target_of(world: World, client: str = "stranger") -> Target:
    """Returns a daemon as its attackers see it; the stranger has a certificate of the CA, and no role."""
    return Target(world.daemon.address, world.pki.folder, client)


@contextmanager
def served_throughout(world: World) -> Iterator[None]:
    """Has a good client at work while the context lasts: calls, a follow, and new connections; all of it is served.

    Then memory and log are looked at, which the attack may not have let grow beyond their bounds.

    Raises:
        AssertionError: If the daemon's memory or log has grown too much.
        grpc.RpcError: If a call failed.
    """
    with world.stub() as stub:
        job_id = shell(stub, "echo ready; exec sleep 1000")
        frames = follow(stub, job_id)
        read_until(iter(frames), b"ready\n")
        before, lines = resident_bytes(world.daemon.pid), len(world.daemon.lines)
        with _in_background(lambda: _serve(world)) as calls:
            yield
        assert calls(), "the good client made no call"
        _call(world)
        growth = resident_bytes(world.daemon.pid) - before
        stub.StopJob(pb.StopJobRequest(job_id=job_id), timeout=_SECONDS)
        *_, last = frames
        assert last.HasField("end")
    assert growth < MOST_BYTES, f"the daemon has grown by {growth >> 20} MiB"
    written = [line for line in world.daemon.lines[lines:] if "name=full" not in line]
    assert len(written) < MOST_LINES, written[-5:]


def _call(world: World) -> None:
    with world.stub() as stub:
        stub.ListJobs(pb.ListJobsRequest(page_size=1), timeout=_SECONDS)


def _serve(world: World) -> None:
    """Makes calls on a connection that is there, and one on a new one."""
    with world.stub() as stub:
        for _ in range(20):
            stub.ListJobs(pb.ListJobsRequest(page_size=1), timeout=_SECONDS)
    _call(world)


@contextmanager
def _in_background(work: Callable[[], None]) -> Iterator[Callable[[], int]]:
    """Does some work again and again in a thread while the context lasts; gives what counts how often it was done."""
    done, ended, errors = 0, threading.Event(), list[BaseException]()

    def run() -> None:
        nonlocal done
        try:
            while not ended.is_set() or not done:
                work()
                done += 1
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lambda: done
    finally:
        ended.set()
        thread.join()
    if errors:
        raise errors[0]
