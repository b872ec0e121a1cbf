"""Paths: what may become a path of a dataset, and what must not."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops import layout
from gitops.errors import InvalidPathError
from gitops.model import MAX_DEPTH, MAX_SEGMENT_BYTES, ROOT, RepoPath, parse_path

HOSTILE = [
    "..",
    "../x",
    "a/../b",
    "a/..",
    "./x",
    "a/./b",
    "a//b",
    "//a",
    "//etc/passwd",
    "a\0b",
    "a\nb",
    "a\rb",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\\b",
    "..\\x",
    "C:\\x",
    ".git",
    ".git/config",
    "a/.git/hooks/x",
    ".GIT/config",
    ".Git",
    "git~1",
    "GIT~1/config",
    "git~2",
    ".g\u200cit",
    "\u200d.git",
    ".git\ufeff",
    ".gi\u202et",
    ".git.",
    ".git ",
    ".git::$INDEX_ALLOCATION",
    ".git:x",
    "a.",
    "a ",
    "a./b",
    " a",
    "x" * (MAX_SEGMENT_BYTES + 1),
    "é" * (MAX_SEGMENT_BYTES // 2 + 1),
    "/".join("a" * (MAX_DEPTH + 1)),
    "/".join(["x" * 200] * 25),
    "\ud800",
    "a/\udcff",
]


@pytest.mark.parametrize("raw", HOSTILE, ids=ascii)
def test_a_hostile_path_is_refused(raw: str) -> None:
    with pytest.raises(InvalidPathError):
        parse_path(raw)


@pytest.mark.parametrize(
    ("raw", "parsed"),
    [
        ("", ""),
        ("/", ""),
        ("/a/b/", "a/b"),
        ("a", "a"),
        ("e\u0301.jpg", "é.jpg"),
        ("ﬁ", "ﬁ"),
        ("…", "…"),
        (".gitignore", ".gitignore"),
        ("git", "git"),
        ("git~x", "git~x"),
        ("a b/c'd\"e#f.jpg", "a b/c'd\"e#f.jpg"),
        ("-rf", "-rf"),
        ("x" * MAX_SEGMENT_BYTES, "x" * MAX_SEGMENT_BYTES),
        ("/".join("a" * MAX_DEPTH), "/".join("a" * MAX_DEPTH)),
        ("👩\u200d🚀.png", "👩\u200d🚀.png"),
    ],
    ids=ascii,
)
def test_an_honest_path_is_normalised(raw: str, parsed: str) -> None:
    assert parse_path(raw) == parsed


@given(st.text(st.sampled_from("ab./\\ ~:é\u0301\u200c\0gitGIT.1"), max_size=12))
def test_what_is_accepted_is_stable_and_stays_below_the_root(raw: str) -> None:
    try:
        path = parse_path(raw)
    except InvalidPathError:
        return
    assert parse_path(path) == path
    assert unicodedata.is_normalized("NFC", path)
    segments = path.split("/") if path else []
    assert not {"", ".", "..", ".git"} & {segment.casefold() for segment in segments}


@given(st.text(max_size=40))
def test_only_the_error_of_paths_escapes(raw: str) -> None:
    try:
        parse_path(raw)
    except InvalidPathError as error:
        assert str(error).isprintable()  # noqa: PT017 - not raising is fine too


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".dvc",
        ".dvc/config",
        ".DVC/config",
        ".cairn/dataset.yaml",
        ".Cairn/x",
        "x.dvc",
        "a/X.DVC",
        "x.dvc/y",
        ".gitignore",
        "a/.gitignore",
        "a/.gitattributes",
        ".gitmodules",
        "dvc.lock",
        "a/DVC.yaml",
        ".dvcignore",
    ],
)
def test_reserved_paths_are_not_writable(path: str) -> None:
    with pytest.raises(InvalidPathError):
        layout.check_writable(RepoPath(path))


@pytest.mark.parametrize("path", ["a", "a/b.jpg", "README.md", "dvc", "a/.hidden", "cairn/x", "x.dvcx"])
def test_ordinary_paths_are_writable(path: str) -> None:
    assert layout.check_writable(RepoPath(path)) == path


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        (".dvc/config", True),
        (".cairn/annotations/a.jsonl", True),
        (".CAIRN/x", True),
        ("a/.gitignore", True),
        ("a/b.jpg", False),
        ("a/.dvc", False),
        ("README.md", False),
    ],
)
def test_what_belongs_to_the_product_is_hidden(path: str, hidden: bool) -> None:
    assert layout.is_hidden(path) is hidden


@pytest.mark.parametrize(
    ("path", "size", "text"),
    [
        ("README.md", 10, True),
        ("a/README", 10, True),
        ("LICENSE", 10, True),
        ("data.yaml", layout.MAX_TEXT_BYTES, True),
        ("data.yaml", layout.MAX_TEXT_BYTES + 1, False),
        ("CITATION.cff", 1, True),
        ("a.jpg", 1, False),
        ("notes.txt", 1, False),
    ],
)
def test_name_and_size_decide_what_git_holds(path: str, size: int, text: bool) -> None:
    assert layout.kept_in_git(RepoPath(path), size) is text


@pytest.mark.parametrize(
    ("content", "text"), [(b"", True), ("é".encode(), True), (b"a\0b", False), (b"\xff", False)]
)
def test_text_is_utf_8_without_nul(content: bytes, text: bool) -> None:
    assert layout.is_text(content) is text


@pytest.mark.parametrize(
    ("path", "binding"),
    [
        (ROOT, True),
        (".dvc", True),
        (".dvc/config", True),
        (".DVC/Config", True),
        (".cairn", True),
        (".cairn/dataset.yaml", True),
        (".cairn/annotations/a.jsonl", False),
        (".dvcignore", False),
        ("a/.dvc/config", False),
    ],
)
def test_the_paths_of_identity_and_site_are_known(path: str, binding: bool) -> None:
    assert layout.is_binding(path) is binding


def test_the_remotes_of_the_first_config_are_read_back() -> None:
    site = layout.SiteRecord(7, "lab", "local", "/srv/pool/3")
    record = layout.DatasetRecord(3, "https://host/dvc/3", site)
    config = layout.first_files(record, name="Cells", description="")[layout.DVC_CONFIG]
    assert layout.config_remotes(config) == {
        "core": "cairn",
        "cairn": "https://host/dvc/3",
        "site": "/srv/pool/3",
    }


def test_a_changed_site_shows_in_the_remotes() -> None:
    config = b"['remote \"site\"']\n    url = s3://elsewhere\n"
    assert layout.config_remotes(config)["site"] == "s3://elsewhere"
