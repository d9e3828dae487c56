"""What the CLI's tests share: a scripted service behind real mutual TLS, and a way to run a command line."""

from cli_testing.command import Result, run
from cli_testing.host import Host
from cli_testing.identities import Folder, Identities
from cli_testing.reading import from_byte, last, no_pauses, read_with, reads
from cli_testing.service import JOB_ID, Abort, Hang, ScriptedService, Step, data, end, gap

__all__ = [
    "JOB_ID",
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
    "from_byte",
    "gap",
    "last",
    "no_pauses",
    "read_with",
    "reads",
    "run",
]
