"""Shows jobworker at work: the real daemon, the real CLI, mutual TLS between them, and what they print.

Each command is shown as a person would type it, then run, and its output is passed on as it comes.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from jobworker_testing import DaemonProcess, client_options, daemon_options

_ROOT = Path(__file__).absolute().parents[1]
_CERTS = _ROOT / "certs"
_DAEMON = _ROOT / "services/daemon/worker-daemon"
_CLI = _ROOT / "tools/cli/worker-cli"

_COUNT = "for i in 1 2 3 4 5; do echo line $i; sleep 0.3; done; echo a warning >&2"


def _say(text: str) -> None:
    print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)


class _Shell:
    """Runs worker-cli against one daemon, showing what is typed."""

    def __init__(self, address: str) -> None:
        self._options = [f"--address={address}", *client_options(_CERTS)]
        self._address = address

    def run(self, *words: str) -> str:
        """Runs a command, shows what it prints, and returns its first word.

        Raises:
            subprocess.CalledProcessError: If it fails.
        """
        print(f"$ worker-cli --address={self._address} {shlex.join(words)}", flush=True)
        output = ""
        with subprocess.Popen([_CLI, *self._options, *words], stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                output += line
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, ["worker-cli", *words])
        return output.split()[0] if output.split() else ""


def _show(shell: _Shell) -> None:
    _say("A job is started over mutual TLS; its id is printed.")
    counting = shell.run("start", "--", "sh", "-c", _COUNT)
    _say("Another one would run for an hour.")
    sleeping = shell.run("start", "--", "sleep", "3600")
    _say("The first one's stdout is followed while it runs, from the first byte to the job's end.")
    shell.run("logs", "stdout", counting)
    _say("Its stderr is a stream of its own.")
    shell.run("logs", "stderr", counting)
    _say("Its state; the beginning of an id is enough.")
    shell.run("status", counting[:8])
    _say("The other one is stopped; the answer comes when its processes are gone.")
    shell.run("stop", sleeping)
    _say("Both jobs, newest first.")
    shell.run("list")


def main() -> None:
    """Runs the demo.

    Raises:
        DaemonDiedError: If the daemon does not start.
        subprocess.CalledProcessError: If a command fails.
    """
    _say("The daemon starts; it listens on the loopback alone, for TLS 1.3 with client certificates.")
    with DaemonProcess([str(_DAEMON)], *daemon_options(_CERTS)) as daemon:
        print(f"$ worker-daemon --address=127.0.0.1:0 --state-dir={daemon.state_dir}", flush=True)
        print(daemon.lines[-1], end="", flush=True)
        _show(_Shell(daemon.address))
        _say("The daemon is told to end (SIGTERM), and leaves nothing behind.")
        code = daemon.stop()
    print(f"exit code {code}")
    sys.exit(code)


if __name__ == "__main__":
    main()
