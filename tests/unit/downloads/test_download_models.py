import shutil
import subprocess

import pytest

from app.downloads.models import (
    ArchiveContent,
    ArchiveKind,
    Selection,
    archive_name,
    archive_tag,
    checksum_line,
)
from gitops.model import ROOT, CommitId, RepoPath

ONE, TWO = CommitId("1" * 40), CommitId("2" * 40)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.jpg", "a.jpg", True),
        ("*.jpg", "images/deep/a.jpg", True),
        ("*.jpg", "a.jpg.txt", False),
        ("*.JPG", "a.jpg", False),
        ("images/*.jpg", "images/a.jpg", True),
        ("images/*.jpg", "images/deep/a.jpg", True),
        ("images/*.jpg", "other/a.jpg", False),
        ("images", "images/deep/a.jpg", True),
        ("images/", "images/deep/a.jpg", True),
        ("/images", "images/deep/a.jpg", True),
        ("images", "images2/a.jpg", False),
        ("images/**", "images/deep/a.jpg", True),
        ("images/**/*.jpg", "images/a.jpg", True),
        ("**/a.jpg", "a.jpg", True),
        ("**/a.jpg", "images/deep/a.jpg", True),
        ("**/deep", "images/deep/a.jpg", True),
        ("a?.jpg", "x/a1.jpg", True),
        ("[ab].jpg", "b.jpg", True),
        ("[!ab].jpg", "b.jpg", False),
        ("größe/*", "größe/細胞.tif", True),
        ("a.b", "axb", False),
        ("", "a", False),
    ],
)
def test_a_pattern_selects_paths_names_and_folders(pattern, path, expected):
    assert Selection([pattern]).takes(path) is expected


def test_exclude_wins_and_no_include_takes_everything():
    selection = Selection(["*.jpg"], ["secret"])
    assert selection.takes("a.jpg")
    assert not selection.takes("secret/a.jpg")
    assert Selection(exclude=["secret"]).takes("b")
    assert Selection().takes("anything")


def test_a_hostile_pattern_is_matched_in_little_time():
    assert not Selection(["*a" * 40 + "*b"]).takes("a" * 4000)


def test_an_archive_tag_depends_on_everything_that_decides_its_bytes():
    zipped, data = ArchiveKind.ZIP, ArchiveContent.DATA
    tags = {
        archive_tag(zipped, data, (ONE, None), ROOT, Selection()),
        archive_tag(ArchiveKind.TAR, data, (ONE, None), ROOT, Selection()),
        archive_tag(zipped, ArchiveContent.POINTERS, (ONE, None), ROOT, Selection()),
        archive_tag(zipped, data, (TWO, None), ROOT, Selection()),
        archive_tag(zipped, data, (ONE, TWO), ROOT, Selection()),
        archive_tag(zipped, data, (ONE, None), RepoPath("a"), Selection()),
        archive_tag(zipped, data, (ONE, None), ROOT, Selection(["a"])),
        archive_tag(zipped, data, (ONE, None), ROOT, Selection([], ["a"])),
        archive_tag(zipped, data, (ONE, None), ROOT, Selection(["a", "b"])),
        archive_tag(zipped, data, (ONE, None), ROOT, Selection(["a"], ["b"])),
    }
    assert len(tags) == 10


@pytest.mark.parametrize(
    ("ref", "folder", "expected"),
    [
        ("v1.2", "", "cells-v1.2.zip"),
        ("feature/x", "", "cells-feature-x.zip"),
        ("1" * 40, "", "cells-111111111111.zip"),
        ("main", "a/b", "cells-main-a-b.zip"),
    ],
)
def test_an_archive_is_named_after_dataset_and_ref(ref, folder, expected):
    assert archive_name("cells", ref, RepoPath(folder), ArchiveKind.ZIP) == expected


def test_checksum_lines_escape_as_coreutils_does():
    assert checksum_line("ab", "a b.txt") == "ab  a b.txt\n"
    assert checksum_line("ab", "a\\b") == "\\ab  a\\\\b\n"
    assert checksum_line("ab", "a\nb") == "\\ab  a\\nb\n"


@pytest.mark.skipif(not shutil.which("md5sum"), reason="coreutils are not installed")
@pytest.mark.parametrize(
    "name", ["plain", "with space", "back\\slash", "line\nbreak", "größe", "-dash", "*star"]
)
def test_checksum_lines_are_those_of_coreutils(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    real = subprocess.run(
        ["md5sum", "--", name], cwd=tmp_path, check=True, capture_output=True
    ).stdout.decode()
    assert checksum_line("9dd4e461268c8034f5c8564e155c67a6", name) == real
