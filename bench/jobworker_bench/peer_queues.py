"""task-spooler and pueue as peers: queues of commands, told by running their client for each job."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobworker_bench.peer import at_once, daemon, run, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobworker_bench.peer import Crowd

_PUEUE = """
shared:
  pueue_directory: {folder}
  runtime_directory: {folder}
  use_unix_socket: true
  unix_socket_path: {folder}/socket
client: {{}}
daemon: {{}}
"""


@contextmanager
def task_spooler(folder: Path, jobs: int) -> Iterator[Crowd]:
    """Gives a crowd of task-spooler's clients; as many jobs may run at once as there are."""
    variables = {"TS_SOCKET": str(folder / "socket"), "TMPDIR": str(folder), "TS_MAXFINISHED": str(2 * jobs)}
    run(["tsp", "-S", str(jobs)], **variables)

    def client(each: int) -> None:
        for _ in range(each):
            last = run(["tsp", "/bin/true"], **variables).strip()
        run(["tsp", "-w", last], **variables)

    def crowd(clients: int, each: int) -> None:
        at_once(clients, lambda: client(each))
        # Each client's last job has ended; some that others started later may not have.
        for line in run(["tsp"], **variables).splitlines()[1:]:
            number, state = line.split()[:2]
            if state != "finished":
                run(["tsp", "-w", number], **variables)
        run(["tsp", "-C"], **variables)

    try:
        yield crowd
    finally:
        run(["tsp", "-K"], **variables)


@contextmanager
def pueue(folder: Path, jobs: int) -> Iterator[Crowd]:
    """Gives a crowd of pueue's clients; any number of jobs may run at once."""
    del jobs
    (folder / "configuration").write_text(_PUEUE.format(folder=folder))
    options = ["-c", str(folder / "configuration")]
    # Its `wait` looks every two seconds; what it logs tells sooner.
    with daemon(["pueued", "-vv", *options]) as lines:
        wait_for(lines, b"Using unix socket")
        run(["pueue", *options, "parallel", "0"])

        def client(each: int) -> None:
            for _ in range(each):
                run(["pueue", *options, "add", "--", "/bin/true"])

        def crowd(clients: int, each: int) -> None:
            at_once(clients, lambda: client(each))
            wait_for(lines, b"finished with result", clients * each)
            run(["pueue", *options, "clean"])

        yield crowd
