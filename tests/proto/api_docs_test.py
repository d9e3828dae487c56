"""docs/api.md is what the proto and the daemon say now, and the two agree."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from apitool import comments, docs, errors, markdown


@pytest.fixture
def reference() -> errors.Reference:
    """The reference of the API as it is."""
    return docs.reference(Path(os.environ["DESCRIPTOR_SET"]).read_bytes())


def with_comment(reference: errors.Reference, method: str, old: str, new: str) -> errors.Reference:
    """Returns a reference with something in a method's comment replaced."""
    of = next(each for each in reference.api.methods if each.name == method)
    assert old in of.comment
    changed = replace(of, comment=of.comment.replace(old, new))
    methods = tuple(changed if each is of else each for each in reference.api.methods)
    return errors.Reference(replace(reference.api, methods=methods), reference.daemon)


def test_the_reference_is_not_stale(reference: errors.Reference) -> None:
    """Who changes the proto or the daemon's tables makes it again."""
    stale = "docs/api.md is not what the proto and the daemon say; make it again: ./bazelw run //proto:api_docs"
    assert Path("docs/api.md").read_text() == markdown.render(reference), stale


def test_proto_and_daemon_agree(reference: errors.Reference) -> None:
    """Each role is that of the permission table, each error has a rule, and each rule is told of where it is met."""
    assert list(reference.problems()) == []


def test_every_element_is_in_it(reference: errors.Reference) -> None:
    """No method, message, field, enum or value goes without a word."""
    text = Path("docs/api.md").read_text()
    api = reference.api
    commented = {each.name: each.comment for each in api.methods}
    commented |= {each.name: each.comment for each in (*api.messages, *api.enums)}
    for name, comment in commented.items():
        assert comment
        assert f"# {name}\n" in text
    for of in (*api.messages, *api.enums):
        for field in of.fields:
            assert field.comment
            assert f"| `{field.name}`" in text


def test_a_wrong_role_is_told(reference: errors.Reference) -> None:
    """A comment that promises LOG what only FULL may do is found."""
    wrong = with_comment(reference, "StopJob", "Required role: `FULL`.", "Required role: `LOG` or `FULL`.")
    assert list(wrong.problems()) == ["StopJob: the comment says role ['FULL', 'LOG'], the permission table ['FULL']"]


def test_an_error_that_nobody_gives_is_told(reference: errors.Reference) -> None:
    """A comment that speaks of a code or a reason that the daemon has no rule for is found."""
    code = with_comment(reference, "GetJob", "`NOT_FOUND`:", "`ALREADY_EXISTS`:")
    assert "GetJob: the comment has an error ALREADY_EXISTS, which the daemon has no rule for" in code.problems()
    reason = with_comment(reference, "ReadLogs", "`JOB_DELETED`", "`JOB_GONE`")
    told = "ReadLogs: the comment has an error NOT_FOUND with the reason JOB_GONE, which the daemon has no rule for"
    assert told in reason.problems()


def test_an_error_that_no_comment_has_is_told(reference: errors.Reference) -> None:
    """A rule of the daemon that no method tells of is found, and so is one that the service does not list."""
    without = with_comment(
        reference, "DeleteJob", "* `FAILED_PRECONDITION`: the job has not ended. Stop it first.\n", ""
    )
    assert list(without.problems()) == ["JOB_RUNNING: no method's comment has an error FAILED_PRECONDITION for it"]
    new = replace(reference.daemon, rules=(*reference.daemon.rules, errors.Rule("NEW", "UNAVAILABLE")))
    more = errors.Reference(reference.api, new)
    assert list(more.problems()) == ["NEW: the service's comment does not list it"]


@pytest.mark.parametrize(
    "line", ["Required role: `FULL`.", "Idempotent:", "Errors, beside those that every method has:"]
)
def test_a_comment_keeps_to_its_form(reference: errors.Reference, line: str) -> None:
    """Each method says its role, its idempotence and its errors, or nothing is written."""
    with pytest.raises(comments.CommentError, match="must have one"):
        with_comment(reference, "StopJob", line, "")


def test_errors_keep_to_their_form(reference: errors.Reference) -> None:
    """An error without a code is not passed over."""
    with pytest.raises(comments.CommentError, match="an error is told as"):
        with_comment(reference, "GetJob", "`NOT_FOUND`:", "Not found:")
    with pytest.raises(comments.CommentError, match="must have a paragraph that ends with"):
        comments.of_service("Runs commands.")


def test_another_set_is_refused() -> None:
    """A descriptor set without the API is told of."""
    with pytest.raises(LookupError, match="has no jobworker/v1"):
        docs.reference(b"")
