"""A supervisor's records on disk: written whole or not at all, and read as far as they make sense."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import uuid
from pathlib import Path

import pytest

from jobworker.supervisor.protocol import Exited, Started, encode
from jobworker.supervisor.records import Begun, Record, Records, boot_id, start_ticks, ticks_now

ID = "0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3"
BEGUN = Begun("boot", "/a/cgroup", ("/a/stdout", "/a/stderr"))
STARTED = Started(ID, 4711, 1_000, 12)
EXITED = Exited(ID, 7, None, by_stop=False, killed=2, stdout_bytes=3, stderr_bytes=4, time_ns=2_000)


@pytest.fixture
def records(tmp_path: Path) -> Records:
    """Records in an empty directory."""
    directory = tmp_path / "records"
    directory.mkdir()
    return Records(os.fspath(directory), held=True)


def write(records: Records, content: bytes, job_id: str = ID) -> None:
    """Writes a record as it is."""
    Path(records._directory, job_id).write_bytes(content)


def lines() -> list[bytes]:
    """Returns the lines of a whole record."""
    return [json.dumps(BEGUN).encode() + b"\n", encode(STARTED), encode(EXITED)]


def known(count: int) -> Record:
    """Returns what a record says of which so many lines count."""
    return Record(ID, BEGUN if count > 0 else None, STARTED if count > 1 else None, EXITED if count > 2 else None)


def test_a_record_is_read_as_it_was_written(records: Records) -> None:
    """Whatever has been written of it so far."""
    records.begin(ID, BEGUN)
    assert list(records.read()) == [known(1)]
    records.append(ID, STARTED)
    assert list(records.read()) == [known(2)]
    records.append(ID, EXITED)
    assert list(records.read()) == [known(3)]
    records.remove(ID)
    records.remove(ID)
    assert list(records.read()) == []


def files(records: Records) -> set[int]:
    """Returns the inodes of all files that there are in the directory."""
    return {entry.inode() for entry in os.scandir(records._directory)}


def test_a_removed_record_leaves_its_file_to_the_next(records: Records) -> None:
    """No file is made and removed for each job, and nothing of the one before is in the next one's record."""
    records.begin(ID, BEGUN)
    records.append(ID, STARTED, EXITED)
    made = files(records)
    for number in range(3):
        records.remove(ID)
        other = Begun("b", "", ("", str(number)))
        records.begin(ID, other)
        assert list(records.read()) == [Record(ID, other, None, None)]
        assert files(records) == made


def test_spare_files_are_found_again(records: Records) -> None:
    """By the supervisor after the one that has left them, with whatever it has left in them."""
    records.begin(ID, BEGUN)
    records.append(ID, STARTED)
    records.remove(ID)
    made = files(records)
    successor = Records(records._directory, held=True)
    assert list(successor.read()) == []
    successor.begin(ID, BEGUN)
    assert (list(successor.read()), files(successor)) == ([known(1)], made)


def test_spare_files_are_few(records: Records) -> None:
    """However many jobs there were at once; and who only reads records leaves none."""
    ids = [str(uuid.UUID(int=number)) for number in range(100)]
    for job_id in ids:
        records.begin(job_id, BEGUN)
    Records(records._directory).remove(ids[0])
    assert len(files(records)) == 99
    for job_id in ids:
        records.remove(job_id)
    assert (list(records.read()), len(files(records))) == ([], 64)


def test_a_record_that_was_cut_short(records: Records) -> None:
    """At whichever byte: what is there in whole lines counts."""
    whole = b"".join(lines())
    ends = [len(b"".join(lines()[:count])) for count in range(4)]
    for length in range(len(whole) + 1):
        write(records, whole[:length])
        (found,) = records.read()
        count = sum(length >= end for end in ends) - 1
        assert found == known(count)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\0\0\0\0",
        b"\xff\xfe",
        b"5",
        b"null",
        b'"abc"',
        b"[]",
        b"[1, 2, 3]",
        b'["boot", "/cgroup", ["/stdout"]]',
        b'["Ended"]',
        b'["Exited"]',
        b"[" * 100_000,
        encode(STARTED._replace(job_id=str(uuid.UUID(int=1)))).strip(),
        encode(STARTED._replace(pid=-1)).strip(),
        encode(EXITED._replace(time_ns=10**30)).strip(),
        encode(EXITED._replace(code=None)).strip(),
        json.dumps(["Exited", ID, "7", None, False, 0, 0, 0, 0]).encode(),
        json.dumps(["Started", ID, None, 0, 0]).encode(),
    ],
    ids=lambda line: repr(line[:40]),
)
def test_garbage_in_a_record(records: Records, line: bytes) -> None:
    """Neither it nor what comes after it counts, in whichever line it is."""
    for number in range(3):
        content = [*lines()[:number], line + b"\n", *lines()[number + 1 :]]
        write(records, b"".join(content))
        assert list(records.read()) == [known(number)]


def test_what_is_no_record(records: Records) -> None:
    """Files of other names are left alone; what has a record's name and can't be read is a record without content."""
    for name in ("README", ".hidden", ID.upper(), f"{ID}.old"):
        write(records, b"hello", name)
    Path(records._directory, ID).mkdir()
    assert list(records.read()) == [known(0)]
    records.remove(ID)
    assert len(list(Path(records._directory).iterdir())) == 5


@pytest.mark.parametrize("room", [0, 1, 20])
def test_a_disk_without_room(records: Records, room: int) -> None:
    """A record is written whole or not at all, so that what comes later is not spoilt."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, old[1]))
        with pytest.raises(OSError, match="large"):
            records.begin(ID, BEGUN)
        assert list(records.read()) == []
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        records.begin(ID, BEGUN)
        size = len(lines()[0])
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, old[1]))
        with pytest.raises(OSError, match="large"):
            records.append(ID, STARTED, EXITED)
        assert list(records.read()) == [known(1)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    records.append(ID, STARTED, EXITED)
    assert list(records.read()) == [known(3)]


def test_whether_the_directory_is_still_there(records: Records) -> None:
    """Another one of the same path is not the same: nothing that is looked for there would be found."""
    directory = Path(records._directory)
    assert records.exists()
    directory.rename(directory.with_name("moved"))
    assert not records.exists()
    directory.mkdir()
    assert not records.exists()
    directory.rmdir()
    directory.with_name("moved").rename(directory)
    assert records.exists()


def test_a_boot_has_an_id() -> None:
    """A UUID that stays the same until the host is started again."""
    assert boot_id() == str(uuid.UUID(boot_id()))
    assert boot_id() == boot_id()


def test_a_process_has_a_start_time() -> None:
    """Whatever its name is; a process that is gone has none."""
    ticks = start_ticks(os.getpid())
    assert ticks
    before = Path("/proc/self/comm").read_text()
    try:
        Path("/proc/self/comm").write_text(") 1 2 (3")
        assert start_ticks(os.getpid()) == ticks
    finally:
        Path("/proc/self/comm").write_text(before)
    assert start_ticks(2**31 - 1) is None


def test_the_time_in_ticks_is_the_kernel_s() -> None:
    """A process is made no earlier and no later than it was by our own clock."""
    before = ticks_now()
    with subprocess.Popen(["true"]) as process:
        after = ticks_now()
        made = start_ticks(process.pid)
    assert made is not None
    assert before <= made <= after
