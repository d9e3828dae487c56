"""Makes certificate authorities and certificates for development and tests.

Never for production: the private keys are written unencrypted.
"""

from devcerts.authority import Authority, Usage, Validity
from devcerts.developmentset import FILE_NAMES, DevelopmentSet, roles_toml
from devcerts.files import AlreadyThereError, refuse_existing, write_new
from devcerts.identity import Identity, KeyType, fingerprint

__all__ = [
    "FILE_NAMES",
    "AlreadyThereError",
    "Authority",
    "DevelopmentSet",
    "Identity",
    "KeyType",
    "Usage",
    "Validity",
    "fingerprint",
    "refuse_existing",
    "roles_toml",
    "write_new",
]
