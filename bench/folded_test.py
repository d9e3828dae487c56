"""Tests of what is made of sampled stacks."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from jobworker_bench.folded import Share, call_table, flame_graph, parse, shares

STACKS = {
    ("main (daemon/app.py:1)", "read (worker/reader.py:2)", "preadv (libc.so.6)"): 6,
    ("main (daemon/app.py:1)", "read (worker/reader.py:2)"): 1,
    ("main (daemon/app.py:1)", "write (worker/odd.py:3)", "main (daemon/app.py:1)"): 3,
}


def test_samples_are_read_and_those_at_rest_left_out() -> None:
    """A thread that waits for work would make up most of a profile."""
    text = "f (a.py:1);g (b.py:2) 3\nf (a.py:1);epoll_wait (libc.so.6) 9\nf (a.py:1);g (b.py:2) 1\n"
    assert parse(text) == {("f (a.py:1)", "g (b.py:2)"): 4}


def test_frames_without_a_name_are_told_by_their_library() -> None:
    """Their addresses differ from run to run and from call to call."""
    text = "f (a.py:1);0x7f01 (grpc/_cython/cygrpc.so);0x7f02 (grpc/_cython/cygrpc.so);send (libc.so.6) 2"
    assert parse(text) == {("f (a.py:1)", "[cygrpc.so]", "send (libc.so.6)"): 2}


def test_what_is_no_sample_is_refused() -> None:
    """Else a profile would be silently incomplete."""
    with pytest.raises(ValueError, match="not a stack"):
        parse("f")


def test_shares_count_a_function_once_a_sample() -> None:
    """One that calls itself would have more than all of them."""
    assert shares(STACKS) == [
        Share("preadv (libc.so.6)", 6, 6),
        Share("main (daemon/app.py:1)", 3, 10),
        Share("read (worker/reader.py:2)", 1, 7),
        Share("write (worker/odd.py:3)", 0, 3),
    ]


def test_the_table_tells_what_costs_and_which_part_of_ours_it_is() -> None:
    """The first says what to mend, the second where."""
    own, ours = call_table(STACKS, 2).split("\n\n")
    assert own.splitlines()[2:] == [
        "| 60.0% | 60.0% | `preadv (libc.so.6)` |",
        "| 30.0% | 100.0% | `main (daemon/app.py:1)` |",
    ]
    assert ours.splitlines()[2:] == [
        "| 30.0% | 100.0% | `main (daemon/app.py:1)` |",
        "| 10.0% | 70.0% | `read (worker/reader.py:2)` |",
    ]


def test_a_flame_graph_has_each_frame_in_its_share_upon_its_caller() -> None:
    """Widths are what is read off it."""
    found = {}
    for group in ET.fromstring(flame_graph(STACKS, "a < b")).findall(".//{*}g"):  # noqa: S314 - it is our own
        title, box = group.find("{*}title"), group.find("{*}rect")
        assert title is not None
        assert box is not None
        found[title.text] = tuple(float(box.attrib[name]) for name in ("x", "y", "width"))
    bottom = found["main (daemon/app.py:1): 100.0%"]
    reading = found["read (worker/reader.py:2): 70.0%"]
    assert bottom[2] == 1200
    assert reading[2] == 840
    assert reading[0] == bottom[0]
    assert reading[1] < bottom[1]
    assert found["write (worker/odd.py:3): 30.0%"][0] == 840


def test_a_flame_graph_is_the_same_whatever_the_order() -> None:
    """Two of the same samples can be compared."""
    assert flame_graph(dict(reversed(STACKS.items())), "a") == flame_graph(STACKS, "a")
