"""Opens the connection to the service, and turns gRPC's errors into ours; knows no verb."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, cast

import grpc

from jobworker.cli import address, certificates, errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker.cli.options import Options

_LOGGER = logging.getLogger(__name__)

# StartJob can be repeated because it carries a request id. Stop takes the time that it takes. ReadLogs has a way of its
# own to go on. DeleteJob is not repeated: if the first attempt got through, the second would find no such job.
# CANCELLED, which the service never says, is what gRPC makes of calls that have come, and are not begun, when their
# server is told to stop.
_SERVICE_CONFIG = """
{"methodConfig": [
  {"name": [{"service": "jobworker.v1.JobWorkerService", "method": "StartJob"},
            {"service": "jobworker.v1.JobWorkerService", "method": "GetJob"},
            {"service": "jobworker.v1.JobWorkerService", "method": "ListJobs"}],
   "timeout": "60s",
   "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2,
                   "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"]}},
  {"name": [{"service": "jobworker.v1.JobWorkerService", "method": "DeleteJob"}],
   "timeout": "60s"},
  {"name": [{"service": "jobworker.v1.JobWorkerService", "method": "StopJob"}],
   "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2,
                   "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"]}}
]}"""

_CHANNEL_OPTIONS = (
    ("grpc.service_config", _SERVICE_CONFIG),
    # A daemon is called directly, also where the environment names a proxy for the web.
    ("grpc.enable_http_proxy", 0),
    # A page of jobs with the longest commands that Linux allows.
    ("grpc.max_receive_message_length", 256 << 20),
    # A follow of a quiet job must notice that the other side is gone.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # How long one attempt to connect may take, and how soon the next may follow.
    ("grpc.min_reconnect_backoff_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


@contextlib.contextmanager
def connect(options: Options) -> Iterator[grpc.Channel]:
    """Gives a channel over mutual TLS, which connects with its first call, until the context is left.

    Raises:
        CliError: an option or a file is wrong, or a call in the context failed.
    """
    target = address.target(options.address)
    files = certificates.read(options)
    _LOGGER.debug("calling %s as %s (%s)", target, options.cert, certificates.fingerprint(files.cert))
    credentials = grpc.ssl_channel_credentials(files.ca, files.key, files.cert)
    with grpc.secure_channel(target, credentials, _CHANNEL_OPTIONS) as channel:
        began = time.monotonic()
        try:
            yield channel
            _LOGGER.debug("done after %.1f ms", 1000 * (time.monotonic() - began))
        except grpc.RpcError as error:
            raise explain(error, options) from error


def explain(error: grpc.RpcError, options: Options) -> errors.CliError:
    """Returns the error to show for a failed call."""
    code, details = code_of(error), details_of(error)
    _LOGGER.debug("the call failed with %s: %s", code, details)
    if errors.UNUSABLE_FILES in details:
        return certificates.unusable(options)
    with contextlib.suppress(errors.CliError):
        return errors.explain(code, details, options, certificates.fingerprint(certificates.read(options).cert))
    return errors.explain(code, details, options)


def code_of(error: grpc.RpcError) -> str:
    """Returns the name of a failed call's status code."""
    return cast("grpc.Call", error).code().name


def details_of(error: grpc.RpcError) -> str:
    """Returns the text of a failed call's status."""
    return cast("grpc.Call", error).details() or ""
