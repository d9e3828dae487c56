"""Every bad input has an error of its own and leaves nothing behind: no log, no process, no job."""

# ruff: noqa: ASYNC240 - small files on a local disk

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import (
    CommandTooLongError,
    InvalidCommandError,
    InvalidOffsetError,
    InvalidRequestIdError,
    InvalidStreamError,
    OffsetOutOfRangeError,
    ProgramFormatError,
    ProgramNotExecutableError,
    ProgramNotFoundError,
    StateDirectoryError,
    SupervisorError,
    Worker,
    WorkerError,
)
from worker_support import footprint, leaves_nothing, marked_processes, read_all, read_lines, read_now, sh

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from jobworker.worker import StreamName


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Where the worker's output logs are."""
    return tmp_path / "state" / "logs"


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    """An open worker with a state directory that the tests look into."""
    async with leaves_nothing(), Worker(state_dir=tmp_path / "state") as made:
        yield made


async def refused(worker: Worker, logs: Path, command: Sequence[str], kind: type[WorkerError]) -> WorkerError:
    """Returns the error of a start that must fail with one of that very kind, and leave everything as it was."""
    before = footprint()
    with pytest.raises(kind) as caught:
        await worker.start(command)
    assert caught.type is kind
    assert "\n" not in str(caught.value)
    assert (await worker.list()).jobs == ()
    assert list(logs.iterdir()) == []
    assert footprint() == before
    return caught.value


@pytest.mark.parametrize("command", [[], [""], ["", "x"], ["a\0"], ["echo", "a\0b"], "true"])
async def test_a_command_that_cannot_be_is_refused(worker: Worker, logs: Path, command: Sequence[str]) -> None:
    """Empty, without a program, or with what the kernel can't pass."""
    await refused(worker, logs, command, InvalidCommandError)


@pytest.mark.parametrize(
    "program",
    ["no-such-program", "/no/such/program", "./no-such-program", "/etc/passwd/x", "x" * 5000, "/" + "x" * 300],
)
async def test_a_missing_program_is_refused(worker: Worker, logs: Path, program: str) -> None:
    """Along PATH or at a path, however long its name."""
    await refused(worker, logs, [program, "argument"], ProgramNotFoundError)


async def test_a_symbolic_link_to_itself_is_refused(worker: Worker, logs: Path, tmp_path: Path) -> None:
    """There is no program at its end."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    await refused(worker, logs, [str(loop)], ProgramNotFoundError)


async def test_a_file_that_is_not_executable_is_refused(worker: Worker, logs: Path, tmp_path: Path) -> None:
    """The error names it as the caller did."""
    file = tmp_path / "data"
    file.write_text("#!/bin/sh\n")
    error = await refused(worker, logs, [str(file)], ProgramNotExecutableError)
    assert str(file) in str(error)


async def test_a_directory_is_refused(worker: Worker, logs: Path, tmp_path: Path) -> None:
    """Though its mode has the bits of an executable file."""
    await refused(worker, logs, [str(tmp_path)], ProgramNotExecutableError)


@pytest.mark.parametrize("content", [b"\x00\x01junk", b"echo hi\n", b"", b"\x7fELF"])
async def test_a_file_of_the_wrong_format_is_refused(
    worker: Worker, logs: Path, tmp_path: Path, content: bytes
) -> None:
    """A script without a first line that names its interpreter too: no shell is guessed."""
    file = tmp_path / "program"
    file.write_bytes(content)
    file.chmod(0o700)
    await refused(worker, logs, [str(file)], ProgramFormatError)


@pytest.mark.parametrize("words", [["x" * (1 << 20)], ["x" * 100_000] * 100, ["é" * 100_000], ["\1" * 100_000] * 62])
async def test_an_argument_list_too_long_for_the_kernel_is_refused(
    worker: Worker, logs: Path, words: list[str]
) -> None:
    """One word of 128 KiB or all together over the limit, in whatever form; the error says how long they are."""
    error = await refused(worker, logs, ["echo", *words], CommandTooLongError)
    assert str(5 + sum(len(word.encode()) + 1 for word in words)) in str(error)


async def test_an_argument_list_that_just_fits_is_taken(worker: Worker) -> None:
    """A mebibyte in many words goes all the way."""
    words = ["x" * 100_000] * 10
    job = await worker.start(sh('printf %s "$@"', *words))
    assert await read_all(worker, job.id) == b"x" * 1_000_000


async def test_words_arrive_as_they_are(worker: Worker) -> None:
    """Spaces, quotes, newlines, empty words, and bytes that are no UTF-8: no shell and no encoding touches them."""
    words = ["", " a b ", "'\"$HOME`*", "line\nline", "é", "\udcff\udc80", "-n", "\\"]
    job = await worker.start(sh(r'printf "%s\0" "$@"', *words))
    output = await read_all(worker, job.id)
    assert output.split(b"\0")[:-1] == [word.encode("utf-8", "surrogateescape") for word in words]


async def test_a_request_id_that_is_none_is_refused(worker: Worker, logs: Path) -> None:
    """Before anything is started."""
    with pytest.raises(InvalidRequestIdError):
        await worker.start(["true"], request_id="1")
    assert list(logs.iterdir()) == []


async def test_a_refused_start_frees_its_request_id(worker: Worker, tmp_path: Path) -> None:
    """Once the cause is mended the same request succeeds."""
    request, program = "0a1b2c3d-0000-4000-8000-000000000000", tmp_path / "late"
    with pytest.raises(ProgramNotFoundError):
        await worker.start([str(program)], request_id=request)
    program.symlink_to("/bin/true")
    job = await worker.start([str(program)], request_id=request)
    assert (await worker.wait(job.id)).exit_code == 0


@pytest.mark.parametrize("read", [read_all, read_now])
async def test_an_offset_past_the_end_is_refused(worker: Worker, read: Callable[..., Awaitable[bytes]]) -> None:
    """Of a running and of a finished job, with and without following; the end itself is no such offset."""
    job = await worker.start(sh("echo hi; read -r _ < /dev/null; exec sleep 1000"))
    await read_lines(worker, job.id)
    for _ in range(2):
        with pytest.raises(OffsetOutOfRangeError, match="offset 4 is past the end: the stream has 3 bytes") as caught:
            await read(worker, job.id, offset=4)
        assert (caught.value.offset, caught.value.size) == (4, 3)
        with pytest.raises(OffsetOutOfRangeError):
            await read(worker, job.id, offset=2**62)
        await worker.stop(job.id)
    assert await read(worker, job.id, offset=3) == b""


@pytest.mark.parametrize("offset", [-1, -(2**70)])
async def test_a_negative_offset_is_refused(worker: Worker, offset: int) -> None:
    """It does not count from the end."""
    job = await worker.start(["true"])
    with pytest.raises(InvalidOffsetError):
        await read_now(worker, job.id, offset=offset)


async def test_an_offset_of_any_size_is_past_the_end(worker: Worker) -> None:
    """Even one that no file could have."""
    job = await worker.start(["true"])
    with pytest.raises(OffsetOutOfRangeError):
        await read_now(worker, job.id, offset=2**70)


async def test_a_stream_that_is_none_is_refused(worker: Worker) -> None:
    """The check comes before the job is looked for."""
    stream: StreamName = "stdin"  # type: ignore[assignment]
    with pytest.raises(InvalidStreamError):
        await read_now(worker, "0", stream)


@pytest.mark.parametrize("path", ["file", "file/state", "/proc/nothing", "dangling", "\udcff" * 300])
async def test_a_state_directory_that_cannot_be_is_refused(tmp_path: Path, path: str) -> None:
    """A file, below a file, where no directories can be made, behind a broken link, or with no possible name."""
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "deep")
    (tmp_path / "dangling").lstat()
    async with leaves_nothing():
        with pytest.raises(StateDirectoryError) as caught:
            async with Worker(state_dir=tmp_path / path):
                pass
    assert "\n" not in str(caught.value)


async def test_a_state_directory_that_is_read_only_is_refused(tmp_path: Path) -> None:
    """Permission bits bind all but root, so it is tried as an unprivileged user where there is one to be."""
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; a directory under a file stands for it in another test")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StateDirectoryError, match="Permission denied"):
            async with Worker(state_dir=tmp_path / "state"):
                pass
    finally:
        tmp_path.chmod(0o700)


async def test_nowhere_to_make_a_temporary_directory_is_said(scratch: Path) -> None:
    """The temporary directory is gone, say."""
    scratch.rmdir()
    try:
        with pytest.raises(StateDirectoryError, match="No such file"):
            async with Worker():
                pass
    finally:
        scratch.mkdir()


async def test_a_state_directory_that_vanishes_fails_starts_alone(tmp_path: Path) -> None:
    """The worker stays up, runs what runs, and recovers once it is back."""
    logs = tmp_path / "state" / "logs"
    async with leaves_nothing(), Worker(state_dir=tmp_path / "state") as worker:
        running = await worker.start(sh("echo ready; exec sleep 1000"))
        await read_lines(worker, running.id)
        logs.rename(tmp_path / "elsewhere")
        with pytest.raises(SupervisorError, match="can't create an output log: No such file"):
            await worker.start(["true"])
        assert marked_processes(f"JOBWORKER_JOB_ID={running.id}")
        (tmp_path / "elsewhere").rename(logs)
        assert (await worker.wait((await worker.start(["true"])).id)).exit_code == 0


async def test_a_log_that_somebody_removed_is_said(worker: Worker, logs: Path) -> None:
    """Reading it fails with a clear error; the job and the worker go on."""
    job = await worker.start(sh("echo ready; exec sleep 1000"))
    await read_lines(worker, job.id)
    (logs / f"{job.id}.stdout").unlink()
    for read in (read_all, read_now):
        with pytest.raises(StateDirectoryError, match="can't read the output log"):
            await read(worker, job.id)
    assert (await worker.get(job.id)).stdout_bytes == 0
    assert (await worker.stop(job.id)).state.is_final


async def test_many_bad_starts_at_once_leave_nothing(worker: Worker, logs: Path) -> None:
    """Each fails by itself, and good ones between them succeed."""
    commands = [["true"], ["no-such-program"], ["/"], ["true", "x" * (1 << 18)]] * 10
    results = await asyncio.gather(*map(worker.start, commands), return_exceptions=True)
    good = (await worker.list()).jobs
    assert len(good) == 10
    assert sum(isinstance(result, WorkerError) for result in results) == 30
    assert len(list(logs.iterdir())) == 2 * len(good)
