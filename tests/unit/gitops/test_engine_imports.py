"""Pointers of ``dvc import``, against what DVC 3.67.1 wrote and computed."""

import json

import pytest

from gitops.errors import InvalidPointerError
from gitops.imports import FolderDigest, Imported, ImportSource, find_source, in_order, is_seen, render
from gitops.model import CommitId, Md5
from gitops.objects import digest
from gitops.pointers import parse_single

V1 = CommitId("6b6d41656960d3b81d8ca80d82270271dd685099")
V2 = CommitId("691d13deac9ea0860c9dd9a621bd0b312b3c6ba4")

FOLDER = """\
md5: aff9a0806be26f126fbda20fb3a0364a
frozen: true
deps:
- path: imgs
  repo:
    url: ../src
    rev: v1
    rev_lock: 6b6d41656960d3b81d8ca80d82270271dd685099
outs:
- md5: 3a7a09140339e8d9bee99930ddf0de86.dir
  size: 27
  nfiles: 5
  hash: md5
  path: imgs
"""
FILE = """\
md5: 8d034e78ccd31e89926069ea4f96f5cd
frozen: true
deps:
- path: '8e3'
  repo:
    url: ../src
    rev: v2
    rev_lock: 691d13deac9ea0860c9dd9a621bd0b312b3c6ba4
outs:
- md5: 9dd4e461268c8034f5c8564e155c67a6
  size: 1
  hash: md5
  path: 'é: #x'
"""
NOT_DOWNLOADED = """\
md5: 570117e302dee441c993b6ad91dcb774
frozen: true
deps:
- path: imgs/sub
  repo:
    url: ../src
    rev_lock: 691d13deac9ea0860c9dd9a621bd0b312b3c6ba4
outs:
- hash: md5
  path: part
"""
# The files of ``imgs`` as DVC's manifest of it lists them.
ROWS = [
    ("imgs/.gitignore", b"/a.bin\n"),
    ("imgs/README.md", b"# hi\n"),
    ("imgs/a.bin", b"one\n"),
    ("imgs/sub/.gitignore", b"/b.bin\n"),
    ("imgs/sub/b.bin", b"two\n"),
]


def test_a_folder_is_written_as_dvc_writes_it() -> None:
    content = Imported(Md5("3a7a09140339e8d9bee99930ddf0de86.dir"), 27, 5)
    assert render(ImportSource("../src", "imgs", V1, "v1"), "imgs", content).decode() == FOLDER


def test_a_file_is_written_as_dvc_writes_it() -> None:
    content = Imported(Md5("9dd4e461268c8034f5c8564e155c67a6"), 1)
    assert render(ImportSource("../src", "8e3", V2, "v2"), "é: #x", content).decode() == FILE


def test_unknown_content_is_written_as_an_import_that_was_not_downloaded() -> None:
    assert render(ImportSource("../src", "imgs/sub", V2), "part", None).decode() == NOT_DOWNLOADED


def test_a_folder_has_the_address_that_dvc_gives_it() -> None:
    hasher = FolderDigest()
    for path, content in ROWS:
        found = digest(content)
        hasher.add(path.removeprefix("imgs/"), found.md5, found.size)
    assert hasher.result() == Imported(Md5("3a7a09140339e8d9bee99930ddf0de86.dir"), 27, 5)


@pytest.mark.parametrize("names", [[], ["a"], ["a", "é \u2028", 'q"', "\U0001f600"]])
def test_an_address_is_the_md5_of_the_manifest(names: list[str]) -> None:
    hasher = FolderDigest()
    for name in names:
        hasher.add(name, "0" * 32, 1)
    manifest = json.dumps([{"md5": "0" * 32, "relpath": name} for name in names]).encode()
    assert hasher.result().address == f"{digest(manifest).md5}.dir"


def test_rows_are_sorted_segment_by_segment() -> None:
    assert sorted(["a.x", "a-b", "a/c", "a"], key=in_order) == ["a", "a/c", "a-b", "a.x"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.bin", True),
        ("a/.gitignore", True),
        ("a/dvc.lock", True),
        (".cairn/dataset.yaml", True),
        ("a/b.bin.dvc", False),
        ("a/dvc.yaml", False),
        (".dvcignore", False),
        (".dvc/config", False),
    ],
)
def test_what_git_holds_is_imported_but_dvc_s_own_files(path: str, expected: bool) -> None:
    assert is_seen(path) is expected


@pytest.mark.parametrize("text", [FOLDER, FILE, NOT_DOWNLOADED])
def test_the_source_is_read_back(text: str) -> None:
    source = find_source(text.encode())
    assert source is not None
    assert f"rev_lock: {source.commit}" in text
    assert source.url == "../src"


def test_a_plain_pointer_has_no_source() -> None:
    assert find_source(b"outs:\n- md5: 9dd4e461268c8034f5c8564e155c67a6\n  path: x\n") is None
    assert (
        find_source(b"deps:\n- path: y\nouts:\n- md5: 9dd4e461268c8034f5c8564e155c67a6\n  path: x\n") is None
    )


def test_what_is_written_reads_as_a_pointer() -> None:
    assert parse_single(FOLDER.encode(), "imgs").is_dir
    assert parse_single(FILE.encode(), "é: #x").size == 1


@pytest.mark.parametrize(
    "broken",
    [
        FILE.replace("    rev: v2\n", "    config: .dvc/theirs\n"),
        FILE.replace("    rev: v2\n", "    remote:\n      url: s3://theirs\n"),
        FILE.replace("    rev_lock: 691d13deac9ea0860c9dd9a621bd0b312b3c6ba4\n", ""),
        FILE.replace("691d13deac9ea0860c9dd9a621bd0b312b3c6ba4", "main"),
        FILE.replace("    url: ../src\n", ""),
        FILE.replace("outs:", "- path: second\nouts:"),
        FILE.replace("- path: '8e3'\n  repo:", "- repo:"),
        "deps: [{repo: text}]\n",
        "deps:\n- {repo: &a {url: x}}\n- *a\n",
    ],
)
def test_an_import_that_is_not_locked_or_brings_settings_is_refused(broken: str) -> None:
    with pytest.raises(InvalidPointerError):
        find_source(broken.encode())
