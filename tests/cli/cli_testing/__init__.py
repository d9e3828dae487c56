"""What the CLI's tests share: a scripted service behind real mutual TLS, and a way to run a command line."""

from cli_testing.command import Result, run
from cli_testing.host import Host
from cli_testing.identities import Folder, Identities
from cli_testing.service import Abort, Hang, ScriptedService, Step, data, end

__all__ = [
    "Abort",
    "Folder",
    "Hang",
    "Host",
    "Identities",
    "Result",
    "ScriptedService",
    "Step",
    "data",
    "end",
    "run",
]
