"""Says what is wrong with an address, as the user typed it."""

from __future__ import annotations

from jobworker.cli.errors import WrongUsageError
from jobworker.client import address as addresses
from jobworker.client.settings import SettingsError


def target(address: str) -> str:
    """Returns an address in the form that gRPC can take for nothing else.

    Raises:
        WrongUsageError: it is not host:port.
    """
    try:
        return addresses.target(address)
    except SettingsError as error:
        raise WrongUsageError(f"--address={error}") from None
