"""What an independent scanner, SSLyze, finds of a TLS server: a program that is run, and its report, judged.

SSLyze brings its own two OpenSSLs, an old one for what a present one can't even ask for. It is run as a process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Results: TypeAlias = dict[str, dict[str, Any]]
"""The results in SSLyze's report, by the name of the scan; what is in each is SSLyze's affair."""

_VERSIONS = ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3")
_OPTIONS = [
    "--sslv2",
    "--sslv3",
    "--tlsv1",
    "--tlsv1_1",
    "--tlsv1_2",
    "--tlsv1_3",
    "--elliptic_curves",
    "--compression",
    "--reneg",
    "--resum",
    "--heartbleed",
    "--openssl_ccs",
    "--robot",
    "--mozilla_config=disable",
]
# What must stand in the report of a server that has none of these weaknesses.
_SOUND: dict[str, dict[str, object]] = {
    "tls_compression": {"supports_compression": False},
    "heartbleed": {"is_vulnerable_to_heartbleed": False},
    "openssl_ccs_injection": {"is_vulnerable_to_ccs_injection": False},
    "robot": {"robot_result": "NOT_VULNERABLE_RSA_NOT_SUPPORTED"},
    "session_renegotiation": {
        "is_vulnerable_to_client_renegotiation_dos": False,
        "client_renegotiations_success_count": 0,
    },
    # Its word for: neither can be there.
    "session_resumption": {
        "session_id_resumption_result": "SERVER_IS_TLS_1_3_ONLY",
        "tls_ticket_resumption_result": "SERVER_IS_TLS_1_3_ONLY",
    },
}


@final
@dataclass(frozen=True, slots=True)
class Surface:
    """What a server offers to whoever connects.

    Attributes:
        suites: The cipher suites that it accepts, by the version of TLS; versions that it doesn't speak are left out.
        curves: What it agrees on keys with.
        weaknesses: What should not be, as SSLyze names it, and what SSLyze could not find out.
    """

    suites: dict[str, set[str]]
    curves: set[str]
    weaknesses: set[str]


def scan(address: str, report: Path, certificate: tuple[str, str] | None = None) -> Results | None:
    """Scans a server; None if the scanner could not even begin, because the server refused it.

    Args:
        address: Its address and port, of this host.
        report: Where to put SSLyze's report.
        certificate: The files of a client's certificate and key; without one the scanner has none to show.

    Raises:
        AssertionError: If the scanner failed.
    """
    identity = [f"--{name}={file}" for name, file in zip(("cert", "key"), certificate or (), strict=False)]
    host, _, port = address.rpartition(":")
    done = subprocess.run(
        [sys.executable, "-m", "sslyze", *_OPTIONS, *identity, f"--json_out={report}", f"localhost:{port}{{{host}}}"],
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    (server,) = json.loads(report.read_text())["server_scan_results"]
    return None if server["connectivity_status"] == "ERROR" else dict(server["scan_result"])


def surface(results: Results) -> Surface:
    """Returns what the results say."""
    accepted = {version: set(_names(results, f"{version}_cipher_suites")) for version in _VERSIONS}
    curves = results["elliptic_curves"]["result"] or {}
    return Surface(
        {version: suites for version, suites in accepted.items() if suites},
        {curve["name"] for curve in curves.get("supported_curves") or ()},
        set(_weaknesses(results)),
    )


def _names(results: Results, scan_name: str) -> Iterator[str]:
    result = results[scan_name]["result"] or {}
    for suite in result.get("accepted_cipher_suites", ()):
        yield suite["cipher_suite"]["name"]


def _weaknesses(results: Results) -> Iterator[str]:
    for name in (*_SOUND, "elliptic_curves", *(f"{version}_cipher_suites" for version in _VERSIONS)):
        if results[name]["status"] != "COMPLETED":
            yield f"{name}: {results[name]['status']}"
    for name, sound in _SOUND.items():
        found = results[name]["result"] or {}
        for key, value in sound.items():
            if found.get(key) != value:
                yield f"{name}: {key} is {found.get(key)}"
