"""Owns how gRPC says that a call did not reach the daemon."""

from __future__ import annotations

NOT_CONNECTED = "failed to connect to all addresses"
"""How the text of grpcio 1.85 begins if a call found no connection at all."""

UNKNOWN_HOST = "errors resolving"
"""How it begins if gRPC could not look up the server's name."""
