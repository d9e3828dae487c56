"""Makes of the options all that the daemon needs, or says what is wrong; reads files, looks up names, binds nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.daemon import devcerts
from jobworker.daemon.address import resolve
from jobworker.daemon.certificates import load_identity, read
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.role_table import parse_principals

if TYPE_CHECKING:
    from pathlib import Path

    from jobworker.daemon.address import Endpoint
    from jobworker.daemon.certificates import ServerIdentity
    from jobworker.daemon.job_options import JobOptions
    from jobworker.daemon.limits import Limits
    from jobworker.daemon.options import Options
    from jobworker.daemon.principals import PrincipalTable


@final
@dataclass(frozen=True, slots=True)
class Configuration:
    """What to serve with; all of it was checked.

    Attributes:
        endpoints: Where to listen.
        identity: What the daemon proves itself with.
        principals: Who may call what.
        jobs: How jobs are run and kept.
        limits: What clients may have at most.
    """

    endpoints: tuple[Endpoint, ...]
    identity: ServerIdentity
    principals: PrincipalTable
    jobs: JobOptions
    limits: Limits


def load(options: Options) -> Configuration:
    """Returns the configuration that the options stand for.

    Raises:
        ConfigurationError: If anything is wrong; whoever configures the daemon has to mend it.
    """
    configuration = Configuration(
        endpoints=resolve(options.address),
        identity=load_identity(options.cert, options.key, options.ca),
        principals=_load_principals(options.roles),
        jobs=options.jobs,
        limits=options.limits,
    )
    if not options.insecure_dev_certificates and not all(one.is_loopback for one in configuration.endpoints):
        devcerts.refuse_published(configuration.identity.fingerprints, configuration.principals.by_fingerprint.keys())
    return configuration


def _load_principals(path: Path) -> PrincipalTable:
    try:
        text = read(path, "--roles").decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 (byte {error.start}); mend it or give another --roles") from None
    return parse_principals(text, str(path))
