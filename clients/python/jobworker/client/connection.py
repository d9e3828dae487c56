"""Owns how a daemon is connected to: the channel's options, the published service config, and TLS."""

from __future__ import annotations

import os.path

from jobworker.v1 import job_worker_pb2

_OPTIONS = (
    # A daemon is called directly, also where the environment names a proxy for the web.
    ("grpc.enable_http_proxy", 0),
    # A page of jobs with the longest commands that Linux allows.
    ("grpc.max_receive_message_length", 256 << 20),
    # A follow of a quiet job must notice that the other side is gone.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Without which an unanswered ping has a minute, whatever the line above says (grpcio 1.85).
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # How long one attempt to connect may take, and how soon the next may follow.
    ("grpc.min_reconnect_backoff_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


def options() -> list[tuple[str, object]]:
    """Returns the options of a channel, with which what can be repeated is repeated, and nothing else."""
    return [("grpc.service_config", service_config()), *_OPTIONS]


def once_options() -> list[tuple[str, object]]:
    """Returns the options of a channel that repeats nothing.

    On another, a StartJob without a request id would start two jobs; and a ReadLogs that meets its connection's end
    may wait forever: grpcio repeats it out of sight and, if it is refused a new connection then, can lose its pending
    receive operations, though the status has come (seen in 1.85.1 and 1.85.3, retry_filter_legacy_call_data.cc).
    """
    return [("grpc.enable_retries", 0), *options()]


def service_config() -> str:
    """Returns the published service config, which lies beside the generated code."""
    # importlib.resources costs 20 ms of every program's start.
    folder = os.path.dirname(job_worker_pb2.__file__)  # noqa: PTH120 - pathlib, 3 ms
    with open(os.path.join(folder, "service_config.json"), encoding="utf-8") as file:  # noqa: PTH118, PTH123 - likewise
        return file.read()
