"""Opens the connection to the service, and turns the client's errors into ours; knows no verb."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING

from jobworker.cli import address, certificates, errors
from jobworker.client.errors import CallError, ContractError
from jobworker.client.sync import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker.cli.options import Options

_LOGGER = logging.getLogger(__name__)


@contextlib.contextmanager
def connect(options: Options) -> Iterator[Client]:
    """Gives a client over mutual TLS, which connects with its first call, until the context is left.

    Raises:
        CliError: an option or a file is wrong, or a call in the context failed.
        RefusedError: the service broke its contract; its fault.
    """
    target = address.target(options.address)
    files = certificates.read(options)
    if _LOGGER.isEnabledFor(logging.DEBUG):
        _LOGGER.debug("calling %s as %s (%s)", target, options.cert, certificates.fingerprint(files.cert))
    with Client(options.address, files) as client:
        began = time.monotonic()
        try:
            yield client
            _LOGGER.debug("done after %.1f ms", 1000 * (time.monotonic() - began))
        except ContractError as error:
            raise errors.RefusedError(error.message) from error
        except CallError as error:
            raise explain(error, options) from error


def explain(error: CallError, options: Options) -> errors.CliError:
    """Returns the error to show for a failed call."""
    code, details = error.code.name, error.message
    _LOGGER.debug("the call failed with %s: %s", code, details)
    if errors.UNUSABLE_FILES in details:
        return certificates.unusable(options)
    with contextlib.suppress(errors.CliError):
        return errors.explain(code, details, options, certificates.fingerprint(certificates.read(options).cert))
    return errors.explain(code, details, options)
