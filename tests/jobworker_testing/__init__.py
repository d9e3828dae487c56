"""What tests, the demo and the benchmark share: a real daemon as a process of its own, and a look at processes."""

from jobworker_testing.certificates import client_options, connect, credentials, daemon_options
from jobworker_testing.daemon_process import DaemonDiedError, DaemonProcess, logging_daemon
from jobworker_testing.processes import ProcessHandle, children_of, open_files, resident_bytes, suspend
from jobworker_testing.state_dirs import kill_supervisor, supervisor_of

__all__ = [
    "DaemonDiedError",
    "DaemonProcess",
    "ProcessHandle",
    "children_of",
    "client_options",
    "connect",
    "credentials",
    "daemon_options",
    "kill_supervisor",
    "logging_daemon",
    "open_files",
    "resident_bytes",
    "supervisor_of",
    "suspend",
]
