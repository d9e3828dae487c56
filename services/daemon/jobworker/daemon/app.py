"""The composition root: reads the configuration once, puts the parts together, and owns the daemon's life."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import resource
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, cast

from jobworker.daemon import __version__, configuration, logs, options, own_process, tls
from jobworker.daemon.accounts import own_account
from jobworker.daemon.address import bindable
from jobworker.daemon.allocator import bound_arenas
from jobworker.daemon.audit import auditing
from jobworker.daemon.config_report import description
from jobworker.daemon.counters import Counters
from jobworker.daemon.errors import ConfigurationError, DaemonError
from jobworker.daemon.job_environment import job_environment
from jobworker.daemon.job_options import StoreKind
from jobworker.daemon.live_identity import LiveIdentity
from jobworker.daemon.notify import notify
from jobworker.daemon.reloading import reloading
from jobworker.daemon.signals import HangupSignals, StopSignals
from jobworker.daemon.values import Values
from jobworker.worker import (
    CgroupError,
    Inheritance,
    InheritanceError,
    JobStoreError,
    MemoryJobStore,
    StateDirectoryError,
    SupervisorVersionError,
    Worker,
    WorkerError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from typing import TypeAlias

    from jobworker.daemon.accounts import Account
    from jobworker.daemon.address import Endpoint
    from jobworker.daemon.configuration import Configuration
    from jobworker.daemon.job_options import JobOptions

    Typed: TypeAlias = Mapping[str, str | bool | None]

_logger = logging.getLogger(__name__)

EXIT_FAILED = 1
EXIT_MISCONFIGURED = 2


def main() -> int:
    """Does what the command line and the environment say: serves, or another command; returns the exit code."""
    try:
        own_process.begin_anew()
        typed = options.command_line(sys.argv[1:])
        for command, perform in _COMMANDS.items():
            if typed[command]:
                return perform(typed)
        return _serve(typed)
    except KeyboardInterrupt:
        # Before the daemon's own handlers were in place.
        return 128 + signal.SIGINT
    except ConfigurationError as error:
        return _give_up(error, EXIT_MISCONFIGURED)
    except (DaemonError, WorkerError) as error:
        return _give_up(error, EXIT_FAILED)


def _serve(typed: Typed) -> int:
    chosen = options.options_of(typed, os.environ, os.geteuid())
    logs.set_up(chosen.log_level)
    loaded = configuration.load(chosen, os.geteuid())
    return asyncio.run(run(_prepare_grpc(chosen.log_level), loaded))


def _check_config(typed: Typed) -> int:
    """Prints who may do what, or all that is wrong, a line each."""
    try:
        loaded = configuration.load(options.options_of(typed, os.environ, os.geteuid()), os.geteuid())
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"worker-daemon: {' '.join(problem.split())}", file=sys.stderr)
        return EXIT_MISCONFIGURED
    print(description(loaded))
    return 0


def _verify_audit(typed: Typed) -> int:
    from jobworker.daemon.verify_audit import verify_audit  # noqa: PLC0415 - this command's alone

    # docopt gives lists for what may come several times.
    files, expected = cast("list[str]", typed["<file>"]), cast("list[str]", typed["--expect"])
    values = Values(typed, os.environ, {})
    return verify_audit(list(map(values.absolute, files)), expected, values.text("--expect-last"))


# What each command of the command line does, beside serving, which has none.
_COMMANDS: dict[str, Callable[[Typed], int]] = {"check-config": _check_config, "verify-audit": _verify_audit}


async def run(floor: tls.Floor, loaded: Configuration) -> int:
    """Serves until a signal asks to stop, then stops in order: accepting, calls and streams, jobs, supervisor.

    Returns:
        The exit code.

    Raises:
        ConfigurationError: If the state directory or what is in it, or the cgroup, can't be used.
        DaemonError: If it can't listen, or a part of it is not as it should be.
        WorkerError: If the worker does not start, or its supervisor dies.
    """
    # Not before the TLS floor is there, since it imports grpc. In a thread, and so while the supervisor starts, which
    # takes as long: 40 ms. Where there can be no thread, it is imported when it is needed.
    with suppress(RuntimeError):
        asyncio.get_running_loop().run_in_executor(None, import_module, "jobworker.daemon.server")
    signals, counters = StopSignals(), Counters()
    hangups = HangupSignals()
    hangups.add(lambda: _logger.info("counters", extra={"fields": counters.fields()}))
    # Before the worker: a daemon that can't serve leaves the jobs of the one before it alone.
    endpoints = bindable(loaded.endpoints)
    # Before the server: the supervisor is started while no thread of grpc's is there, and with the limits on files that
    # the jobs are to have.
    # Around the worker: how the calls under way end is in the audit log.
    async with auditing(loaded.audit, counters) as audit, _working(loaded.jobs, loaded.run_as) as worker:
        hangups.add(audit.reopen)
        _raise_file_limit()
        identity = LiveIdentity(loaded.snapshot)
        from jobworker.daemon import server  # noqa: PLC0415 - see above

        async with (
            reloading(loaded.loader, identity, counters) as reloader,
            server.serving(
                floor,
                endpoints,
                identity=identity,
                worker=worker,
                counters=counters,
                limits=loaded.limits,
                isolate_owners=loaded.jobs.isolate_owners,
                audit=audit,
            ) as bound,
        ):
            hangups.add(reloader.ask)
            _announce(bound)
            received = await signals.wait()
            # Until now they are the next daemon's, should this one fail.
            worker.keep_jobs = loaded.jobs.keep_jobs
            _logger.info("stopping", extra={"fields": {"signal": received.name}})
            what = "leaving its jobs running" if loaded.jobs.keep_jobs else "ending its jobs"
            notify(f"STOPPING=1\nSTATUS=stopping, {what}", os.environ)
    _logger.info("counters", extra={"fields": counters.fields()})
    _logger.info("stopped")
    return 0


@asynccontextmanager
async def _working(jobs: JobOptions, run_as: Account | None) -> AsyncIterator[Worker]:
    """Opens the worker that the options ask for; what they name and can't be used is wrong configuration."""
    inherits = jobs.inherits
    made = Worker(
        state_dir=jobs.state_dir,
        environment=job_environment(os.environ, own_account(), run_as),
        inheritance=Inheritance(inherits.directory, run_as and run_as.user, inherits.no_new_privileges),
        store=MemoryJobStore() if jobs.store is StoreKind.MEMORY else None,
        keep_jobs=jobs.store is not StoreKind.MEMORY,
        cgroup_root=jobs.cgroup_root,
        log_limit=jobs.log_limit,
        keep_finished=jobs.keep_finished,
    )
    async with AsyncExitStack() as stack:
        try:
            worker = await stack.enter_async_context(made)
        except InheritanceError as error:
            raise ConfigurationError(f"{error} (--job-directory, --run-jobs-as)") from error
        except (StateDirectoryError, JobStoreError, SupervisorVersionError, CgroupError) as error:
            raise ConfigurationError(str(error)) from error
        _warn_of_root(run_as)
        _logger.info("cgroups", extra={"fields": {"root": worker.cgroup_root or "none"}})
        if jobs.store is not StoreKind.MEMORY:
            _logger.info("taken_back", extra={"fields": dataclasses.asdict(worker.recovery)})
        yield worker


def _warn_of_root(run_as: Account | None) -> None:
    """Says that jobs are root's, unless somebody has said so before: whoever may start one may do anything here."""
    if os.geteuid() == 0 and run_as is None:
        advice = "give --run-jobs-as=<user>, or --run-jobs-as=root if that is meant"
        _logger.warning("jobs_run_as_root", extra={"fields": {"advice": advice}})


def _prepare_grpc(log_level: int) -> tls.Floor:
    # grpc's library logs in a form of its own, and lets any peer that fails a handshake write lines.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR" if log_level <= logging.DEBUG else "NONE")
    bound_arenas()
    return tls.lay_floor()


def _raise_file_limit() -> None:
    """Lets the daemon have as many connections and followers as the host allows; each has a descriptor."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _announce(bound: tuple[Endpoint, ...]) -> None:
    _logger.info("listening", extra={"fields": {"addresses": ",".join(map(str, bound)), "version": __version__}})
    print(f"READY address={bound[0]}", file=sys.stderr, flush=True)
    notify(f"READY=1\nSTATUS=listening on {', '.join(map(str, bound))}", os.environ)


def _give_up(error: Exception, code: int) -> int:
    print(f"worker-daemon: {' '.join(str(error).split())}", file=sys.stderr)
    return code
