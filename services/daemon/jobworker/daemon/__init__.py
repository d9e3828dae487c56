"""Serves the worker library over gRPC, with mutual TLS and roles.

`app` is the composition root; `gate` is the one entrance of every call; the decisions (`principals`, `role_table`,
`permissions`, `status`, `convert`, `job_environment`) are pure modules.
"""

__version__ = "0.1.0"
