"""inotify for directories' entries, and for files: which changes are told of, and which are not."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import Inotify
from jobworker.worker import inotify as inotify_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _write(folder: Path) -> None:
    (folder / "a").write_text("x")


def _rename(folder: Path) -> None:
    (folder / "other").write_text("x")
    (folder / "other").rename(folder / "a")


def _rename_away(folder: Path) -> None:
    (folder / "a").rename(folder / "other")


def _link(folder: Path) -> None:
    (folder / "a").unlink()
    (folder / "a").symlink_to("other")


def _unlink(folder: Path) -> None:
    (folder / "a").unlink()


def _chmod(folder: Path) -> None:
    (folder / "a").chmod(0o600)


@pytest.mark.parametrize("change", [_write, _rename, _rename_away, _link, _unlink, _chmod])
async def test_a_change_of_an_entry_is_told(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """However it comes about: what a path leads to may be another file then."""
    (tmp_path / "a").write_text("")
    told = asyncio.Event()
    async with Inotify() as inotify:
        inotify.add_entries(str(tmp_path), ["a"], told.set)
        change(tmp_path)
        await told.wait()


async def test_other_entries_are_not_told_of(tmp_path: Path) -> None:
    """A busy directory wakes nobody for what is not asked about."""
    told: list[str] = []
    done = asyncio.Event()
    async with Inotify() as inotify:
        inotify.add_entries(str(tmp_path), ["a"], lambda: told.append("a"))
        (tmp_path / "ab").write_text("x")
        (tmp_path / "sub").mkdir()
        inotify.add_entries(str(tmp_path / "sub"), ["b"], done.set)
        (tmp_path / "sub" / "b").write_text("x")
        await done.wait()
    assert told == []


async def test_a_directory_watched_again_has_the_new_names(tmp_path: Path) -> None:
    """And one that is not watched any more tells of nothing."""
    told: list[str] = []
    done = asyncio.Event()
    async with Inotify() as inotify:
        first = inotify.add_entries(str(tmp_path), ["a"], lambda: told.append("a"))
        assert inotify.add_entries(str(tmp_path), ["b"], lambda: told.append("b")) == first
        (tmp_path / "sub").mkdir()
        inotify.add_entries(str(tmp_path / "sub"), ["c"], done.set)
        (tmp_path / "a").write_text("x")
        (tmp_path / "b").write_text("x")
        (tmp_path / "sub" / "c").write_text("x")
        await done.wait()
        assert told == ["b"]
        inotify.remove(first)
        done.clear()
        (tmp_path / "b").write_text("x")
        (tmp_path / "sub" / "c").write_text("x")
        await done.wait()
    assert told == ["b"]


async def test_what_cannot_be_watched(tmp_path: Path) -> None:
    """A file is no directory, and one that isn't there can't be watched."""
    (tmp_path / "a").write_text("")
    async with Inotify() as inotify:
        with pytest.raises(NotADirectoryError):
            inotify.add_entries(str(tmp_path / "a"), ["b"], print)
        with pytest.raises(FileNotFoundError):
            inotify.add_entries(str(tmp_path / "b"), ["b"], print)


async def test_a_file_that_was_just_told_of_is_not_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that its writer is not slowed; what it has written meanwhile is told of once that is over."""
    monkeypatch.setattr(inotify_module, "PAUSE_SECONDS", 3600)
    file = tmp_path / "a"
    file.touch()
    told = asyncio.Queue[int]()
    async with Inotify() as inotify:
        inotify.add(str(file), lambda: told.put_nowait(file.stat().st_size))
        for beginning in (0, 12):
            file.write_text("x" * (beginning + 1))
            assert await told.get() == beginning + 1
            file.write_text("x" * (beginning + 10))
            assert select.select([inotify._descriptor], [], [], 0) == ([], [], [])
            inotify._resume()
            assert told.get_nowait() == beginning + 10


async def test_a_file_that_is_removed_while_it_is_not_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing comes of it but news."""
    monkeypatch.setattr(inotify_module, "PAUSE_SECONDS", 3600)
    file = tmp_path / "a"
    file.touch()
    told = asyncio.Queue[bool]()
    async with Inotify() as inotify:
        watch = inotify.add(str(file), lambda: told.put_nowait(file.exists()))
        file.write_text("x")
        assert await told.get()
        file.unlink()
        inotify._resume()
        while await told.get():
            pass
        inotify.remove(watch)
