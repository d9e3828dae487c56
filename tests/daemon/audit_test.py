"""The audit log of a real daemon: every change and every refusal is in it before it is answered, whatever happens."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from daemon_world import Pki, World, follow, new_world, program, raw_call, reason_of, shell
from identity_world import LivePki
from jobworker.v1 import job_worker_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SERVICE = "/jobworker.v1.JobWorkerService/"
UNWRITABLE = grpc.StatusCode.INTERNAL, "AUDIT_LOG_UNWRITABLE"


def lines_of(path: Path, event: str = "") -> list[dict[str, Any]]:
    """Returns the lines of an audit log, or those of an event."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    return [line for line in lines if not event or line["event"] == event]


def verify(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    """Runs worker-daemon verify-audit."""
    command = [*program(), "verify-audit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def whole(*paths: Path) -> str:
    """Verifies an audit log, which has to be an unbroken chain, and returns what is said of it."""
    done = verify(*paths)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@contextmanager
def audited(pki: Pki, log: Path, *options: str, **others: Any) -> Iterator[World]:  # noqa: ANN401 - as new_world takes
    """Runs a daemon with an audit log."""
    with new_world(pki, f"--audit-log={log}", *options, **others) as world:
        yield world


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the audit log is to be."""
    return tmp_path / "audit.log"


def test_each_change_has_a_line_with_all_that_was_asked_for(pki: Pki, log: Path) -> None:
    """It is on disk when the call is answered, and says who did what to which job, and what came of it."""
    with audited(pki, log) as world, world.stub() as stub:
        job_id = shell(stub, "sleep 1000")
        (started,) = lines_of(log, "call")
        stub.StopJob(pb.StopJobRequest(job_id=job_id[:6]))
        stub.DeleteJob(pb.DeleteJobRequest(job_id=job_id))
        assert reason_of(lambda: stub.DeleteJob(pb.DeleteJobRequest(job_id=job_id)))[1] == "JOB_NOT_FOUND"
        assert reason_of(lambda: stub.StartJob(pb.StartJobRequest(command=["/no/program"])))[1] == "PROGRAM_NOT_FOUND"
        stub.ListJobs(pb.ListJobsRequest())
        calls = lines_of(log, "call")
    assert {
        key: started[key] for key in ("principal", "fingerprint", "method", "job", "argv", "outcome", "reason")
    } == {
        "principal": pki.fingerprints["full"],
        "fingerprint": pki.fingerprints["full"],
        "method": SERVICE + "StartJob",
        "job": job_id,
        "argv": ["sh", "-c", "sleep 1000"],
        "outcome": "OK",
        "reason": "",
    }
    assert re.fullmatch(r"ipv4:127\.0\.0\.1:\d+", started["peer"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", started["time"])
    assert [(call["method"].removeprefix(SERVICE), call["job"], call["outcome"], call["reason"]) for call in calls] == [
        ("StartJob", job_id, "OK", ""),
        ("StopJob", job_id, "OK", ""),
        ("DeleteJob", job_id, "OK", ""),
        ("DeleteJob", job_id, "NOT_FOUND", "JOB_NOT_FOUND"),
        ("StartJob", calls[4]["job"], "INVALID_ARGUMENT", "PROGRAM_NOT_FOUND"),
    ]
    begun = {line["seq"]: line for line in lines_of(log, "begin")}
    told = [call for call in calls if "begin" in call]
    assert [begun[call["begin"]]["method"] for call in told] == [call["method"] for call in told]
    assert [begun[call["begin"]]["job"] for call in told[:3]] == [job_id] * 3
    # What asks for a job that isn't there is about to change nothing; a program that isn't there is found out later.
    assert [line["event"] for line in lines_of(log)] == [
        "daemon_start",
        *["begin", "call"] * 3,
        "call",
        *["begin", "call"],
        "daemon_stop",
    ]
    assert whole(log).startswith("11 lines hold together, from the beginning of the chain\nlast ")


def test_each_refused_call_has_a_line(pki: Pki, log: Path) -> None:
    """Of any method, by whomever, for whatever reason; and nothing else of those that only read."""
    with audited(pki, log, "--max-argument-size=5000") as world:
        with world.stub() as stub:
            command = ["echo", "x" * 5000, "y"]
            assert reason_of(lambda: stub.StartJob(pb.StartJobRequest(command=command)))[1] == "LIMIT_REACHED"
        with world.stub("log") as stub:
            stub.ListJobs(pb.ListJobsRequest())
            assert reason_of(lambda: stub.StartJob(pb.StartJobRequest(command=["sh"])))[1] == "ROLE_TOO_LOW"
            read = pb.ReadLogsRequest(job_id="abc", stream=pb.LOG_STREAM_STDOUT)
            assert reason_of(lambda: next(stub.ReadLogs(read)))[1] == "ROLE_TOO_LOW"
        with world.channel("stranger") as channel:
            for method in (SERVICE[1:] + "GetJob", "no.Such/Method" + "x" * 1000):
                with pytest.raises(grpc.RpcError):
                    raw_call(channel, method, b"\xff\xff")
        large, start, logs, get, unknown = lines_of(log, "call")
    assert (large["outcome"], large["reason"]) == ("RESOURCE_EXHAUSTED", "LIMIT_REACHED")
    assert start["outcome"] == logs["outcome"] == get["outcome"] == unknown["outcome"] == "PERMISSION_DENIED"
    assert (start["principal"], start["reason"]) == (pki.fingerprints["log"], "ROLE_TOO_LOW")
    assert (get["principal"], get["reason"], get["job"]) == (None, "ACCESS_DENIED", None)
    assert (get["fingerprint"], get["certificate"]) == (pki.fingerprints["stranger"], "not in the role table")
    # Who is refused may not fill the disk either.
    assert len(unknown["method"]) == 200
    assert (large["argv"], large["argv_is_cut"]) == (["echo", "x" * 4091], True)
    assert large["argv_sha256"] == hashlib.sha256(b"".join(each.encode() + b"\0" for each in command)).hexdigest()
    # Of whom the role table does not let in, nothing is read.
    assert "argv" not in start
    assert logs["job"] is None
    assert lines_of(log, "begin") == []


def test_a_call_that_a_revocation_ends_has_a_line(tmp_path: Path, log: Path) -> None:
    """The client is told that it may not; the log says why."""
    live = LivePki.make(tmp_path / "files")
    with audited(live.pki, log, f"--crl={live.folder}/crl.pem") as world, world.stub() as stub:
        job_id = shell(stub, "echo up; sleep 1000")
        frames = follow(stub, job_id)
        assert next(frames).data.data == b"up\n"
        live.revoke("full")
        assert reason_of(lambda: list(frames))[1] == "ACCESS_DENIED"
        _, ended = lines_of(log, "call")
    assert (ended["method"], ended["job"]) == (SERVICE + "ReadLogs", job_id)
    assert (ended["outcome"], ended["reason"]) == ("PERMISSION_DENIED", "ACCESS_DENIED")
    assert ended["certificate"] == "revoked"


def test_arguments_can_be_kept_out(pki: Pki, log: Path) -> None:
    """Their hash is there, of what the kernel has as the process's command line."""
    with audited(pki, log, "--audit-redact-arguments") as world, world.stub() as stub:
        shell(stub, "echo secret")
    assert b"secret" not in log.read_bytes()
    (call,) = lines_of(log, "call")
    assert call["argv_sha256"] == hashlib.sha256(b"sh\0-c\0echo secret\0").hexdigest()
    assert "argv" not in call


def test_a_flood_of_refused_calls_is_counted(pki: Pki, log: Path) -> None:
    """Some are told, the others as a number: the log stays short, and nothing is left out."""
    with audited(pki, log) as world:
        with world.stub("stranger") as stub:
            for _ in range(300):
                with pytest.raises(grpc.RpcError):
                    stub.GetJob(pb.GetJobRequest(job_id="a"))
        assert len(lines_of(log, "call")) == 10
    (summary,) = lines_of(log, "refusals")
    assert summary["count"] == 290
    assert summary["method"] == SERVICE + "GetJob"
    assert summary["fingerprint"] == pki.fingerprints["stranger"]
    whole(log)


def test_a_call_whose_client_has_gone_is_told_to_its_end(pki: Pki, log: Path) -> None:
    """The job was stopped, whoever waited for it: the outcome is that of the stop, not of the client."""
    with audited(pki, log) as world, world.stub() as stub:
        script = (
            "trap 'echo got; while :; do read x < /proc/self/stat; done' TERM; echo up; while :; do sleep 0.1; done"
        )
        job_id = shell(stub, script)
        frames = stub.ReadLogs(pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT, follow=True))
        assert next(frames).data.data == b"up\n"
        request = pb.StopJobRequest(job_id=job_id)
        request.grace_period.FromMilliseconds(2000)
        stopping = stub.StopJob.future(request)
        assert next(frames).data.data == b"got\n"
        stopping.cancel()
        *_, end = frames
        assert end.end.job.state == pb.JOB_STATE_STOPPED
        stub.DeleteJob(pb.DeleteJobRequest(job_id=job_id))
        outcomes = [(call["method"].rpartition("/")[2], call["outcome"]) for call in lines_of(log, "call")]
    assert sorted(outcomes) == [("DeleteJob", "OK"), ("StartJob", "OK"), ("StopJob", "OK")]


def test_a_killed_daemon_leaves_the_beginning_of_its_calls(pki: Pki, log: Path) -> None:
    """What was asked of it is in the log before it happens; the next daemon goes on with the chain."""
    with audited(pki, log, "--keep-jobs") as world:
        with world.stub() as stub:
            # It kills its daemon before that can tell of it, whenever its audit log is slower than a shell.
            job = stub.StartJob.future(pb.StartJobRequest(command=["sh", "-c", f"kill -9 {world.daemon.pid}"]))
            world.daemon.process.wait()
            job.cancel()
        world.daemon.stop()
        (begun,) = lines_of(log, "begin")
        assert begun["argv"] == ["sh", "-c", f"kill -9 {world.daemon.pid}"]
        is_told = bool(lines_of(log, "call"))
        with log.open("ab") as file:
            file.write(b'{"prev":"torn')
        world.daemon.start()
        with world.stub() as stub:
            shell(stub, "true")
    said = whole(log)
    assert "13 bytes were cut off, as the next line tells" in said
    assert ("a call was begun, and no outcome is told" in said) is not is_told
    assert any("audit_log_torn" in line for line in world.daemon.lines)


def test_what_was_answered_is_told_and_what_exists_was_announced(pki: Pki, log: Path) -> None:
    """Whenever the daemon is killed, with many calls under way: the log and what clients know can't contradict."""
    answered: list[str] = []
    with audited(pki, log, "--keep-jobs", "--start-rate=0") as world:

        def start_jobs() -> None:
            with world.stub() as stub, suppress(grpc.RpcError):
                while True:
                    answered.append(shell(stub, "true"))
                    some.release()

        for _ in range(3):
            some = threading.Semaphore(0)
            threads = [threading.Thread(target=start_jobs) for _ in range(4)]
            for thread in threads:
                thread.start()
            for _ in range(10):
                some.acquire()
            world.daemon.stop(signal.SIGKILL)
            for thread in threads:
                thread.join()
            world.daemon.start()
        with world.stub() as stub:
            jobs = {job.id for job in stub.ListJobs(pb.ListJobsRequest(page_size=1000)).jobs}
    assert len(answered) >= 30
    assert {call["job"] for call in lines_of(log, "call") if call["outcome"] == "OK"} >= set(answered)
    assert {begun["job"] for begun in lines_of(log, "begin")} >= jobs >= set(answered)
    whole(log)


def test_rotation_under_calls_keeps_the_chain(pki: Pki, log: Path) -> None:
    """However many calls are under way when the log is renamed: each has its lines, in one chain of all parts."""
    parts = [log.with_name(f"audit.log.{number}") for number in range(3)]
    with audited(pki, log, "--keep-finished=all") as world:
        enough = threading.Event()
        started = threading.Semaphore(0)

        def start_jobs() -> None:
            with world.stub() as stub:
                while not enough.is_set():
                    stub.StartJob(pb.StartJobRequest(command=["true"]))
                    started.release()

        threads = [threading.Thread(target=start_jobs) for _ in range(4)]
        for thread in threads:
            thread.start()
        for part in parts:
            for _ in range(8):
                started.acquire()
            log.rename(part)
            world.daemon.signal(signal.SIGHUP)
            world.daemon.wait_for_line(re.compile("event=audit_log .*is=reopened"))
        enough.set()
        for thread in threads:
            thread.join()
    every = [line for part in [*parts, log] for line in lines_of(part, "call")]
    count = len(parts) * 8
    while started.acquire(blocking=False):
        count += 1
    assert len(every) == count
    said = whole(*parts, log)
    assert "no outcome" not in said
    assert {part.stat().st_mode & 0o777 for part in [*parts, log]} == {0o600}
    assert "hold together, after " in whole(parts[1])
    assert verify(parts[0], parts[2]).returncode == 1


def test_the_daemons_own_log_keeps_the_last_hash(pki: Pki, log: Path) -> None:
    """So the end of the audit log is known in a second place, and `--expect` finds out whether it is still there."""
    with audited(pki, log) as world, world.stub() as stub:
        shell(stub, "true")
    (closed,) = (line for line in world.daemon.lines if "event=audit_log " in line and "is=closed" in line)
    last = re.search(r"last=(\w+)", closed)
    assert last
    assert hashlib.sha256(log.read_bytes().splitlines(keepends=True)[-1]).hexdigest() == last[1]
    assert verify(f"--expect-last={last[1]}", log).returncode == 0
    shorter = log.with_suffix(".short")
    shorter.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    assert verify(shorter).returncode == 0
    for option in ("--expect", "--expect-last"):
        missing = verify(f"{option}={last[1]}", shorter)
        assert (missing.returncode, missing.stdout) == (1, "")
        assert "lines were removed from the end" in missing.stderr


def test_a_removed_log_stops_changes_until_it_is_opened_anew(pki: Pki, log: Path) -> None:
    """Nothing is changed that nobody could read of; reading goes on; the gap shows."""
    with audited(pki, log) as world, world.stub() as stub:
        job_id = shell(stub, "sleep 1000")
        log.unlink()
        assert reason_of(lambda: shell(stub, "true")) == UNWRITABLE
        assert reason_of(lambda: stub.StopJob(pb.StopJobRequest(job_id=job_id))) == UNWRITABLE
        assert reason_of(lambda: stub.DeleteJob(pb.DeleteJobRequest(job_id=job_id))) == UNWRITABLE
        (job,) = stub.ListJobs(pb.ListJobsRequest()).jobs
        assert job.state == pb.JOB_STATE_RUNNING
        world.daemon.wait_for_line(re.compile("event=audit_log_unwritable .*the file was removed"))
        # Said once, and not at each call.
        assert not any("event=call_failed" in line for line in world.daemon.lines)
        world.daemon.signal(signal.SIGHUP)
        world.daemon.wait_for_line(re.compile("event=audit_log .*is=reopened"))
        stub.StopJob(pb.StopJobRequest(job_id=job_id))
        assert lines_of(log)[0]["seq"] == 4
    assert "hold together, after " in whole(log)


def test_an_outcome_that_can_not_be_written_is_told(pki: Pki, log: Path) -> None:
    """The caller learns that the job was stopped and that the log doesn't say so yet; it does once it can."""
    with audited(pki, log) as world, world.stub() as stub:
        job_id = shell(stub, "trap 'echo got' TERM; echo up; while :; do sleep 0.1; done")
        frames = stub.ReadLogs(pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT, follow=True))
        assert next(frames).data.data == b"up\n"
        request = pb.StopJobRequest(job_id=job_id)
        request.grace_period.FromMilliseconds(500)
        stopping = stub.StopJob.future(request)
        assert next(frames).data.data == b"got\n"
        log.unlink()
        assert reason_of(stopping.result) == (grpc.StatusCode.INTERNAL, "AUDIT_OUTCOME_UNWRITTEN")
        assert stub.GetJob(pb.GetJobRequest(job_id=job_id)).job.state == pb.JOB_STATE_STOPPED
        world.daemon.signal(signal.SIGHUP)
        world.daemon.wait_for_line(re.compile("event=audit_log .*is=reopened"))
        stub.DeleteJob(pb.DeleteJobRequest(job_id=job_id))
    (stopped, _) = lines_of(log, "call")
    assert (stopped["method"], stopped["job"], stopped["outcome"]) == (SERVICE + "StopJob", job_id, "OK")


def small_disk(disk: Path, options: str = "size=256k") -> list[str]:
    """Returns a command that runs another one which has a small disk of its own; skips the test where it may not."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    mount = 'mount -t tmpfs -o "$0" none "$1" && shift && exec "$@"'
    under = ["unshare", *user, "--mount", "sh", "-c", mount, options, str(disk)]
    tried = subprocess.run([*under, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"not granted here: {' '.join(under)}: {tried.stderr.strip()}")
    return under


def test_a_full_disk_stops_changes_and_only_these(pki: Pki, tmp_path: Path) -> None:
    """A call that has begun has the space for its outcome; none begins without; all goes on once there is space."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with audited(pki, disk / "audit.log", prefix=small_disk(disk)) as world, world.stub() as stub:
        seen = type(disk)(f"/proc/{world.daemon.pid}/root{disk}")
        job_id = shell(stub, "trap 'echo got' TERM; echo up; while :; do sleep 0.1; done")
        frames = stub.ReadLogs(pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT, follow=True))
        assert next(frames).data.data == b"up\n"
        request = pb.StopJobRequest(job_id=job_id)
        request.grace_period.FromMilliseconds(1000)
        stopping = stub.StopJob.future(request)
        assert next(frames).data.data == b"got\n"
        with suppress(OSError), (seen / "filler").open("wb", buffering=0) as filler:
            while filler.write(b"x" * 4096):
                pass
        assert stopping.result().job.state == pb.JOB_STATE_STOPPED
        large = ["echo", "x" * 100_000]
        assert reason_of(lambda: stub.StartJob(pb.StartJobRequest(command=large))) == UNWRITABLE
        world.daemon.wait_for_line(re.compile("event=audit_log_unwritable .*No space left on device"))
        assert [job.id for job in stub.ListJobs(pb.ListJobsRequest()).jobs] == [job_id]
        (seen / "filler").unlink()
        stub.DeleteJob(pb.DeleteJobRequest(job_id=job_id))
        outcomes = [
            (call["method"].rpartition("/")[2], call["outcome"]) for call in lines_of(seen / "audit.log", "call")
        ]
        # What was refused meanwhile is told once it can be.
        assert outcomes == [("StartJob", "OK"), ("StopJob", "OK"), ("StartJob", "INTERNAL"), ("DeleteJob", "OK")]
        (tmp_path / "copy").write_bytes((seen / "audit.log").read_bytes())
    assert "hold together" in whole(tmp_path / "copy")


def test_a_daemon_does_not_start_on_a_read_only_disk(pki: Pki, tmp_path: Path) -> None:
    """It is better to hear of it then than at the first call."""
    options = [f"--audit-log={tmp_path}/audit.log", "--address=127.0.0.1:0", "--store=memory", *pki.options()]
    for command in ([], ["check-config"]):
        whole_command = [*small_disk(tmp_path, "size=256k,ro"), *program(), *command, *options]
        ended = subprocess.run(whole_command, capture_output=True, text=True, check=False, timeout=60)
        assert ended.returncode == 2
        assert "Read-only file system (--audit-log)" in ended.stderr


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (["--audit-log=/no/such/folder/audit.log"], "can't write the audit log"),
        (["--audit-log=/etc/passwd"], "others may use it: chmod 0600"),
        (["--audit-redact-arguments"], "nothing without --audit-log"),
    ],
)
def test_a_daemon_without_the_log_that_it_was_given_does_not_start(
    pki: Pki, options: Sequence[str], wrong: str
) -> None:
    """It says why."""
    ended = subprocess.run(
        [*program(), "--address=127.0.0.1:0", "--store=memory", *pki.options(), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 2
    assert wrong in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_changed_log_is_found(pki: Pki, log: Path) -> None:
    """With the file, the line, and what is wrong with it."""
    with audited(pki, log) as world, world.stub() as stub:
        shell(stub, "echo innocent")
    log.write_bytes(log.read_bytes().replace(b"innocent", b"criminal", 1))
    found = verify(log)
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.startswith(f"worker-daemon: {log}:3: it carries the hash ")


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["/no/file"], "can't read /no/file: No such file or directory"),
        (["--expect=xyz", "/dev/null"], "'xyz' is no SHA-256"),
        ([], "can't make sense of the arguments"),
    ],
)
def test_what_can_not_be_verified(arguments: list[str], wrong: str) -> None:
    """It is the fault of whoever typed it, and not a broken chain."""
    done = verify(*arguments)
    assert done.returncode == 2
    assert wrong in done.stderr
