"""Refs: the grammar of ``?ref=`` and of names; git itself is asked in tests/gitops."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.errors import InvalidRefError
from gitops.model import (
    is_abbreviated_id,
    is_commit_id,
    parse_name,
    parse_ref,
    split_dated_branch,
    split_version_range,
)

HOSTILE = [
    "",
    "-x",
    "--upload-pack=touch /tmp/x",
    "-",
    "@",
    "@{-1}",
    "@{u}",
    "@{upstream}",
    "main@{-1}",
    "main@{yesterday}",
    "main@{u}",
    "main@{2026-01-01}~1",
    ":/fix",
    ":0:x",
    "HEAD",
    "FETCH_HEAD",
    "HEAD:f",
    "main:README.md",
    "main~1",
    "main^",
    "main^{tree}",
    "a..b",
    "a...b",
    "^main",
    "refs/heads/main",
    "refs/cairn/kept/x",
    "a b",
    "a\tb",
    "a\nb",
    "a\0b",
    "a\x7fb",
    "a\x1bb",
    "a\u200bb",
    "a\u202eb",
    "x.lock",
    "a.lock/b",
    ".a",
    "a/.b",
    "a/",
    "/a",
    "a//b",
    "a.",
    "a?",
    "a*",
    "a[b",
    "a\\b",
    "\ud800",
    "x" * 256,
    "é" * 200,
    "x" * 252,
    "a/" + "x" * 252,
]


@pytest.mark.parametrize("raw", HOSTILE, ids=lambda raw: ascii(raw)[:40])
def test_a_hostile_ref_is_refused(raw: str) -> None:
    with pytest.raises(InvalidRefError):
        parse_ref(raw)


@pytest.mark.parametrize("raw", HOSTILE, ids=lambda raw: ascii(raw)[:40])
def test_a_hostile_name_is_refused(raw: str) -> None:
    with pytest.raises(InvalidRefError):
        parse_name(raw)


@pytest.mark.parametrize(
    "raw",
    [
        "main",
        "feature/cells",
        "v1.2.3",
        "a@b",
        "é",
        "latest",
        "~0.1",
        "~v1",
        "main@{2026-03-01}",
        "main@{2026-03-01T12:00:00Z}",
        "0123456",
        "0" * 40,
        "x" * 250,
        "a-",
        "heads/main",
    ],
)
def test_an_honest_ref_is_taken_as_it_is(raw: str) -> None:
    assert parse_ref(raw) == raw


@given(st.text(max_size=30))
def test_only_the_error_of_refs_escapes(raw: str) -> None:
    try:
        parse_ref(raw)
    except InvalidRefError as error:
        assert str(error).isprintable()  # noqa: PT017 - not raising is fine too


@pytest.mark.parametrize("raw", ["0" * 39, "0" * 41, "G" * 40, "A" * 40, "0" * 40 + "\n"])
def test_only_forty_lowercase_digits_are_a_commit_id(raw: str) -> None:
    assert not is_commit_id(raw)


@pytest.mark.parametrize(("raw", "may"), [("abcdef", False), ("abcdef0", True), ("0" * 40, False)])
def test_seven_digits_may_abbreviate_an_id(raw: str, may: bool) -> None:
    assert is_abbreviated_id(raw) is may


def test_a_dated_branch_splits() -> None:
    assert split_dated_branch(parse_name("main")) is None
    assert split_dated_branch(parse_ref("a/b@{2026-03-01}")) == ("a/b", "2026-03-01")


def test_a_version_range_splits_without_its_v() -> None:
    assert split_version_range(parse_ref("~v0.1")) == "0.1"
    assert split_version_range(parse_ref("v0.1")) is None
