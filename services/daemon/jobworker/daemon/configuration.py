"""Makes of the options all that the daemon needs, or says what is wrong; reads files, looks up names, binds nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.daemon.accounts import account_of
from jobworker.daemon.address import resolve
from jobworker.daemon.audit_file import check_usable
from jobworker.daemon.identity_files import IdentityFiles
from jobworker.daemon.problems import Problems
from jobworker.daemon.snapshot_loader import SnapshotLoader

if TYPE_CHECKING:
    from jobworker.daemon.accounts import Account
    from jobworker.daemon.address import Endpoint
    from jobworker.daemon.audit_options import AuditOptions
    from jobworker.daemon.job_options import JobOptions
    from jobworker.daemon.limits import Limits
    from jobworker.daemon.options import Options
    from jobworker.daemon.snapshot import Snapshot


@final
@dataclass(frozen=True, slots=True)
class Configuration:
    """What to serve with; all of it was checked.

    Attributes:
        endpoints: Where to listen.
        snapshot: Who the daemon is, and who may call what, to begin with.
        loader: What loads the snapshots after that one.
        jobs: How jobs are run and kept.
        run_as: Whom jobs run as; None for the daemon's own user.
        limits: What clients may have at most.
        audit: How calls are audited.
    """

    endpoints: tuple[Endpoint, ...]
    snapshot: Snapshot
    loader: SnapshotLoader
    jobs: JobOptions
    run_as: Account | None
    limits: Limits
    audit: AuditOptions


def load(options: Options, uid: int) -> Configuration:
    """Returns the configuration that the options stand for.

    Args:
        options: What was asked for.
        uid: The id of the user that the daemon runs as.

    Raises:
        ConfigurationError: If anything is wrong; whoever configures the daemon has to mend it.
    """
    problems = Problems()
    endpoints = problems.of(resolve, options.address)
    only_loopback = all(one.is_loopback for one in endpoints or ())
    loader = SnapshotLoader(
        IdentityFiles(options.cert, options.key, options.ca, options.roles, options.crl),
        uid,
        published_allowed=options.insecure_dev_certificates or only_loopback,
    )
    snapshot = problems.of(loader.load)
    given = options.jobs.inherits.run_as
    run_as = None if given is None else problems.of(account_of, given)
    if options.audit.file is not None:
        problems.of(check_usable, options.audit.file)
    if endpoints is None or snapshot is None or problems:
        raise problems.error()
    return Configuration(endpoints, snapshot, loader, options.jobs, run_as, options.limits, options.audit)
