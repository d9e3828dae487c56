"""The units for systemd are what systemd understands, and start a daemon that understands them."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from jobworker.daemon import options

UNITS = [Path("packaging/systemd/jobworker.service"), Path("packaging/systemd/user/jobworker.service")]


def settings(unit: Path) -> dict[str, str]:
    """Returns what a unit's section [Service] sets, continued lines joined."""
    text = unit.read_text().partition("[Service]")[2].partition("\n[")[0].replace("\\\n", " ")
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_systemd_understands_a_unit(unit: Path, tmp_path: Path) -> None:
    """It finds nothing to say of it, but that the program isn't installed on this machine: here it is another one."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze on this machine")
    program = settings(unit)["ExecStart"].split()[0]
    here = tmp_path / "jobworker.service"
    here.write_text(unit.read_text().replace(program, shutil.which("true") or ""))
    done = subprocess.run([analyze, "verify", "--man=no", here], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_the_daemon_understands_a_unit(unit: Path) -> None:
    """Every option that it is started with is one."""
    _, *words = shlex.split(settings(unit)["ExecStart"].replace("%E", "/etc"))
    parsed = options.parse(words, {"HOME": "/home/somebody"}, 1000)
    assert parsed.address == "127.0.0.1:8080"
    assert parsed.roles == Path("/etc/jobworker/roles.toml")


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_the_daemon_knows_the_variables_that_a_unit_names(unit: Path) -> None:
    """What its comments advise to set is an option's variable."""
    named = set(re.findall(r"JOBWORKER_[A-Z_]+", unit.read_text()))
    assert "JOBWORKER_RUN_JOBS_AS" in named or "JOBWORKER_NO_NEW_PRIVILEGES" in named
    assert named - set(re.findall(r"JOBWORKER_[A-Z_]+", options.USAGE)) == set()


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_a_unit_lets_jobs_outlive_the_daemon(unit: Path) -> None:
    """Systemd signals the daemon alone, starts it again, gives it cgroups, and does not count jobs as its failures."""
    wanted = {
        "Type": "notify",
        "KillMode": "process",
        "Delegate": "yes",
        "Restart": "on-failure",
        "RestartPreventExitStatus": "2",
        "OOMPolicy": "continue",
        "TasksMax": "infinity",
        "ExecReload": "/bin/kill -HUP $MAINPID",
    }
    found = settings(unit)
    assert {name: found.get(name) for name in wanted} == wanted
