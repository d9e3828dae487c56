"""What is known of processes that were killed."""

from __future__ import annotations

from jobworker.supervisor.dying import Dying
from jobworker.supervisor.leader import Leader

JOB = "4e7c1d2a-0000-4000-8000-000000000001"


def leader_of(job_id: str = JOB) -> Leader:
    """Returns a job's first process."""
    return Leader(job_id, 10, 1, "", ("out", "err"))


def test_each_child_is_swept_once() -> None:
    """A second SIGKILL changes nothing, and takes long with one that is dying."""
    dying = Dying()
    assert dying.sweep([11, 12]) == {11, 12}
    assert dying.sweep([11, 12, 13]) == {13}


def test_a_reaped_child_s_id_is_free() -> None:
    """Whoever has it next needs a SIGKILL of its own."""
    dying = Dying()
    dying.sweep([11])
    dying.reaped(11)
    assert dying.sweep([11]) == {11}


def test_a_job_is_heard_of_by_its_own_children_alone() -> None:
    """And by those that were sent SIGKILL and have not been reaped: they are sure to die, and to be reaped."""
    dying, leader, other = Dying(), leader_of(), leader_of(JOB.replace("1", "2"))
    dying.count(leader, {11, 12})
    dying.count(other, {13})
    assert not dying.has_swept_child(leader)
    dying.sweep([11])
    assert dying.has_swept_child(leader)
    assert not dying.has_swept_child(other)
    dying.reaped(11)
    assert not dying.has_swept_child(leader)


def test_what_was_counted_is_known_until_the_job_has_ended() -> None:
    """It counts among the job's own, more of which may be found later."""
    dying, leader = Dying(), leader_of()
    dying.count(leader, {11})
    dying.count(leader, {12})
    assert leader.left == {11, 12}
    assert [dying.is_counted(pid) for pid in (11, 12, 13)] == [True, True, False]
    dying.forget(leader)
    assert not dying.is_counted(11)
