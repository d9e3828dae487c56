"""How docs/security.md rotates and revokes, in its own commands: openssl, mv, and a daemon that goes on serving."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import final

import pytest

from daemon_world import Pki, World, follow, program, read_until, reason_of, shell
from identity_world import shown_certificate, wait_for_event
from jobworker.v1 import job_worker_pb2 as pb
from jobworker_testing import DaemonProcess, daemon_options

_BLOCKS = re.findall(r"^```sh\n(.*?)^```$", Path("docs/security.md").read_text(), re.DOTALL | re.MULTILINE)


@final
class _Operator:
    """Somebody who does in a folder what the page says."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def do(self, told_by: str, **instead: str) -> str:
        """Runs the commands of the one block that has a text in it, with words of one's own instead of some."""
        (block,) = (one for one in _BLOCKS if told_by in one)
        for word, other in instead.items():
            assert word in block
            block = block.replace(word, other)
        done = subprocess.run(
            ["sh", "-euc", block],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def issue(self, name: str) -> str:
        """Issues a client's certificate, and returns what is printed of its fingerprint."""
        return self.do("-out ci2-cert.pem", ci2=name).strip().partition("=")[2]

    def grant(self, *fingerprints: str) -> None:
        """Puts a role table in the place of the old one, in which these are one principal's."""
        table = f'[[principal]]\nname = "ci"\nrole = "FULL"\nfingerprints = {list(fingerprints)}\n'
        (self._folder / "roles.toml.new").write_text(table)
        self.do("mv roles.toml.new")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of one's own."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return tmp_path


@pytest.fixture
def operator(folder: Path) -> _Operator:
    """An operator who has made a CA, a revocation list and the first certificate of the server."""
    made = _Operator(folder)
    made.do("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout ca-key.pem")
    made.do("mv server-new-key.pem")
    return made


def test_a_rotation_and_a_revocation(operator: _Operator, folder: Path) -> None:
    """The old certificate's follow ends when it is taken out, the new one's goes on through all, and has the jobs."""
    old, new = operator.issue("ci"), operator.issue("ci2")
    operator.grant(old)
    options = daemon_options(folder, crl=str(folder / "crl.pem"))
    with DaemonProcess(program(), *options, "--isolate-owners") as daemon:
        world = World(daemon, Pki(folder, {}))
        with world.stub("ci") as retiring, world.stub("ci2") as coming:
            job_id = shell(retiring, "echo ready; exec sleep 1000")
            frames = follow(retiring, job_id)
            read_until(frames, b"ready")
            operator.grant(old, new)
            wait_for_event(world, "reloaded", changed="roles")
            others = follow(coming, job_id)
            read_until(others, b"ready")

            operator.grant(new)
            assert reason_of(lambda: next(frames))[1] == "ACCESS_DENIED"

            before = shown_certificate(world, "ci2")
            operator.do("mv server-new-key.pem")
            # As one, or one after the other with a line that they don't fit together.
            wait_for_event(world, "reloaded", changed='(?:"cert,key"|cert)')
            assert shown_certificate(world, "ci2") != before

            operator.grant(old, new)
            wait_for_event(world, "reloaded", changed="roles")
            frames = follow(retiring, job_id)
            read_until(frames, b"ready")
            operator.do("-revoke ci-cert.pem")
            assert reason_of(lambda: next(frames))[1] == "ACCESS_DENIED"
            wait_for_event(world, "access_lost", reason="revoked")

            assert [job.id for job in coming.ListJobs(pb.ListJobsRequest()).jobs] == [job_id]
            coming.StopJob(pb.StopJobRequest(job_id=job_id))
            assert list(others)[-1].end.job.state == pb.JOB_STATE_STOPPED
