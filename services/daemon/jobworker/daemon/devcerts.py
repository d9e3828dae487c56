"""Knows the certificates in the folder certs/, whose keys are published, and keeps them off the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobworker.daemon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

# By fingerprint, so that a copy of the files elsewhere is known too. A test compares this with certs/.
PUBLISHED: dict[str, str] = {
    "04dc2123c2246c945816cdb2d69a9971fb713e6af87462cfeaa5dc6171227c77": "ca-cert.pem",
    "4f0fa2fea7de7c743f29343b72ea88507d868b31a01a13c6352b3d8c2c2b9561": "client-cert.pem",
    "1c4da334302730e1b1e12a4b952cd71f24e4db21d56d8eea09c3f1bc8af846a1": "server-cert.pem",
    "06195ea80710ca6e2746dbdbefeed5093d76aa3b21f8159b03da30794a74a582": "viewer-cert.pem",
}
"""The fingerprint of each published certificate, and its file's name."""


def refuse_published(identity: AbstractSet[str], clients: AbstractSet[str]) -> None:
    """Returns if none of the fingerprints is that of a published certificate.

    Args:
        identity: Those of the server's certificates and its CA.
        clients: Those that the role table lets in.

    Raises:
        ConfigurationError: If one is; whoever configures the daemon has to mend it.
    """
    published = sorted(PUBLISHED[one] for one in PUBLISHED.keys() & (identity | clients))
    if published:
        raise ConfigurationError(
            f"the keys of {', '.join(published)} are public, so only loopback may be listened on: make certificates of "
            "your own (bazel run //certs:make -- DIR), or give --insecure-dev-certificates or a loopback --address"
        )
