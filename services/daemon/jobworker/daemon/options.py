"""The command line and the JOBWORKER_ variables, made into one `Options`; opens no file and binds nothing."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import docopt

from jobworker.daemon import __version__, audit_options, inherit_options, job_options, limit_options
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.values import Values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jobworker.daemon.audit_options import AuditOptions
    from jobworker.daemon.job_options import JobOptions
    from jobworker.daemon.limits import Limits

USAGE = f"""Serves jobs over gRPC with mutual TLS.

Usage:
  worker-daemon [options]
  worker-daemon check-config [options]
  worker-daemon verify-audit [--expect-last=<hash>] [--expect=<hash>]... <file>...
  worker-daemon -h | --help
  worker-daemon --version

Without a command it serves. check-config prints who may do what with these options, or all that is wrong with them, and
serves nothing. verify-audit says whether the files of an audit log, the oldest first, are one unbroken chain; else it
exits with 1, and says at which line it was changed. --expect-last gives the hash that the last line has to have,
--expect that of any line that has to be there.

Options:
  -h --help           Show this screen.
  --version           Show version.
  --address=<addr>    Address and port to listen on, such as 127.0.0.1:8080, [::1]:8080 or localhost:0, where port 0
                      takes a free one. (default: 127.0.0.1:8080)
  --cert=<path>       The server's certificate, PEM. (default: certs/server-cert.pem)
  --key=<path>        The server's key, PEM. (default: certs/server-key.pem)
  --ca=<path>         The CA that clients' certificates must come from, PEM. (default: certs/ca-cert.pem)
  --roles=<path>      The role table, TOML: lists of certificates' SHA-256 fingerprints. FULL = ["…"] may do
                      everything, LOG = ["…"] list jobs and query their status, but not read logs. [[principal]] with
                      name = "…", role = "…" and fingerprints = ["…"] gives someone a name and several certificates.
                      (default: certs/roles.toml)
  --crl=<path>        The CAs' certificate revocation lists, one in DER or any number in PEM; a certificate that is
                      revoked may not call. (default: none)
  --state-dir=<path>  Where jobs and their output are kept, running and finished ones, for the next daemon too. It
                      belongs to one daemon at a time. (default: /var/lib/jobworker for root; else jobworker in
                      $XDG_STATE_HOME, which is ~/.local/state unless set; with --store=memory a private temporary
                      directory, removed at the end)
  --store=<kind>      What keeps account of the jobs: sqlite, a file in the state directory, or memory, with which jobs
                      are forgotten, and die, with the daemon. (default: sqlite)
  --keep-jobs         Leave the jobs running after SIGTERM and SIGINT, as always after SIGKILL, for the next daemon on
                      the state directory to take back: for an upgrade, say.
  --isolate-owners    Show each client the jobs of its own principal alone: to everyone else they do not exist.
  --cgroup-root=<path>
                      The cgroup v2 directory in which each job gets a cgroup of its own, the surest way to find all of
                      its processes; auto takes what the daemon may use, off does without. (default: auto)
  --log-limit=<size>  How much of a job's stdout is kept, and of its stderr: bytes, or with K, M, G or T the powers of
                      1024, such as 512M; at least 64K. Beyond that the oldest output is released. 0 keeps everything.
                      (default: 1G)
  --keep-finished=<limits>
                      How many finished jobs are kept, such as 500, or for how long, such as 30d, 12h, 45m or 90s, or
                      both, with a comma between them. Beyond that they are deleted, output and all, the oldest first.
                      all keeps every one. (default: 10000,30d)
{inherit_options.USAGE}\
{limit_options.USAGE}{audit_options.USAGE}\
  --log-level=<level> What to log to stderr: debug, info, warning or error. (default: info)
  --insecure-dev-certificates
                      Listen beyond loopback even though the certificates or roles are those of the folder certs/,
                      whose keys everyone has.

Each option can be given in the environment instead: --address as JOBWORKER_ADDRESS, and likewise JOBWORKER_CERT,
JOBWORKER_KEY, JOBWORKER_CA, JOBWORKER_ROLES, JOBWORKER_CRL, JOBWORKER_STATE_DIR, JOBWORKER_STORE, JOBWORKER_KEEP_JOBS,
JOBWORKER_ISOLATE_OWNERS, JOBWORKER_CGROUP_ROOT, JOBWORKER_LOG_LIMIT, JOBWORKER_KEEP_FINISHED, JOBWORKER_RUN_JOBS_AS,
JOBWORKER_JOB_DIRECTORY, JOBWORKER_NO_NEW_PRIVILEGES, JOBWORKER_MAX_JOBS, JOBWORKER_MAX_JOBS_PER_PRINCIPAL,
JOBWORKER_START_RATE, JOBWORKER_START_BURST, JOBWORKER_MAX_FOLLOWERS, JOBWORKER_MAX_FOLLOWERS_PER_PRINCIPAL,
JOBWORKER_MAX_ARGUMENTS, JOBWORKER_MAX_ARGUMENT_SIZE, JOBWORKER_MAX_MESSAGE_SIZE, JOBWORKER_REQUEST_TIMEOUT,
JOBWORKER_MAX_CONNECTIONS, JOBWORKER_HANDSHAKE_TIMEOUT, JOBWORKER_MAX_CALLS_PER_CONNECTION, JOBWORKER_IDLE_TIMEOUT,
JOBWORKER_MIN_PING_INTERVAL, JOBWORKER_AUDIT_LOG, JOBWORKER_AUDIT_REDACT_ARGUMENTS, JOBWORKER_LOG_LEVEL and
JOBWORKER_INSECURE_DEV_CERTIFICATES. The flags, JOBWORKER_KEEP_JOBS, JOBWORKER_NO_NEW_PRIVILEGES,
JOBWORKER_ISOLATE_OWNERS, JOBWORKER_AUDIT_REDACT_ARGUMENTS and JOBWORKER_INSECURE_DEV_CERTIFICATES, take 1 or 0. The
command line wins. Relative paths start where the command was typed.

The daemon reads certificate, key, CA, role table and revocation lists again when one of them changes, and on SIGHUP.
Files that are wrong change nothing.

Exit codes: 0 after SIGTERM or SIGINT, 1 when it can't listen or has to give up, 2 when the configuration is wrong or
the state directory can't be used, 128 + n when a second signal n cut the shutdown short; to the jobs that is a SIGKILL.
"""

_DEFAULTS = {
    "--address": "127.0.0.1:8080",
    "--cert": "certs/server-cert.pem",
    "--key": "certs/server-key.pem",
    "--ca": "certs/ca-cert.pem",
    "--roles": "certs/roles.toml",
    "--log-level": "info",
}
_LOG_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


@final
@dataclass(frozen=True, slots=True)
class Options:
    """What whoever started the daemon asked for.

    Attributes:
        address: Where to listen, as it was typed.
        cert: The server's certificate.
        key: The server's key.
        ca: The CA of the clients.
        roles: The role table.
        crl: The certificate revocation lists; None if there are none.
        jobs: How jobs are run and kept.
        limits: What clients may have at most.
        audit: How calls are audited.
        log_level: A level of the module logging.
        insecure_dev_certificates: Whether the published certificates may serve beyond loopback.
    """

    address: str
    cert: Path
    key: Path
    ca: Path
    roles: Path
    crl: Path | None
    jobs: JobOptions
    limits: Limits
    audit: AuditOptions
    log_level: int
    insecure_dev_certificates: bool


def parse(arguments: Sequence[str], environment: Mapping[str, str], uid: int) -> Options:
    """Returns the options that the command line and the environment give: those of `command_line` and `options_of`.

    Raises:
        ConfigurationError: If an option is unknown or its value can't be; whoever started the daemon has to mend it.
    """
    return options_of(command_line(arguments), environment, uid)


def options_of(typed: Mapping[str, str | bool | None], environment: Mapping[str, str], uid: int) -> Options:
    """Returns the options that a command line and the environment give.

    Args:
        typed: The command line, as `command_line` returns it.
        environment: The process's environment.
        uid: The id of the user that the process runs as.

    Raises:
        ConfigurationError: If an option's value can't be; whoever started the daemon has to mend it.
    """
    values = Values(typed, environment, _DEFAULTS | job_options.DEFAULTS | limit_options.DEFAULTS)
    return Options(
        address=values.required("--address"),
        cert=values.path("--cert"),
        key=values.path("--key"),
        ca=values.path("--ca"),
        roles=values.path("--roles"),
        crl=None if (crl := values.text("--crl")) is None else values.absolute(crl),
        jobs=job_options.parse_job_options(values, uid),
        limits=limit_options.parse_limits(values),
        audit=audit_options.parse_audit_options(values),
        log_level=_log_level(values.required("--log-level")),
        insecure_dev_certificates=values.flag("--insecure-dev-certificates"),
    )


def command_line(arguments: Sequence[str]) -> dict[str, str | bool | None]:
    """Returns what was typed: each command, whether it was; each option, its value or whether it was.

    Prints and exits for --help and --version.

    Args:
        arguments: The command line without the program's name.

    Raises:
        ConfigurationError: If it makes no sense; whoever started the daemon has to mend it.
    """
    try:
        return dict(docopt.docopt(USAGE, list(arguments), version=f"worker-daemon {__version__}"))
    except docopt.DocoptExit:
        typed = " ".join(arguments)
        raise ConfigurationError(f"can't make sense of the arguments {typed!r}; see worker-daemon --help") from None


def _log_level(name: str) -> int:
    level = _LOG_LEVELS.get(name.lower())
    if level is None:
        raise ConfigurationError(f"unknown log level {name!r}; give debug, info, warning or error (--log-level)")
    return level
