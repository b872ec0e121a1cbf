"""History: log, sums, comparisons, taking back, names, look-ups."""

from datetime import timedelta

import pytest

from app.access import AccessLevel, Action, Visibility
from app.errors import BadRequestError, ForbiddenError, MissingError
from app.versions.models import RowKind
from app.versions.service import RevertConflictError, content_etag
from gitops.errors import (
    ConflictError,
    InvalidPathError,
    InvalidRefError,
    NothingToCommitError,
    PathNotFoundError,
    RefExistsError,
    RefNotFoundError,
    ReleaseImmutableError,
)
from gitops.model import RefName, RepoPath
from tests.steps import commit_behind, contents, delete, fsck, make_dataset, md5, put, repo_of, sha256, titles

CARD = {"README.md": b"# Cells\n"}


@pytest.fixture
def cells(services, alice):
    return make_dataset(services, alice[0]).id


# Log and sums


def test_the_log_filters_by_path_author_and_time(services, clock, alice, bob, cells):
    services.memberships.set_member(alice[0], cells, "bob", AccessLevel.DEVELOPER)
    clock.advance(days=1)
    put(services, bob[0], cells, {"d/a.bin": b"1"})
    clock.advance(days=1)
    moment = clock() - timedelta(hours=12)
    put(services, alice[0], cells, {"b.bin": b"1"})
    assert titles(services, alice[0], cells, path=RepoPath("d")) == ["Add d/a.bin"]
    assert titles(services, alice[0], cells, path=RepoPath("d/a.bin")) == ["Add d/a.bin"]
    assert titles(services, alice[0], cells, author="BOB") == ["Add d/a.bin"]
    assert titles(services, alice[0], cells, since=moment) == ["Add b.bin"]
    assert titles(services, alice[0], cells, until=moment, skip=1) == ["Create dataset"]


def test_sums_count_files_and_bytes(services, alice, cells):
    put(services, alice[0], cells, {"a.bin": b"123", "b.md": b"1"})
    put(services, alice[0], cells, {"a.bin": b"12345", "c.bin": b"1"})
    delete(services, alice[0], cells, "b.md")
    _, _, versions = services.history.log(alice[0], cells)
    found = [
        [(amount.files, amount.size) for amount in (one.stats.added, one.stats.removed, one.stats.changed)]
        for one in versions
    ]
    assert found == [
        [(0, 0), (1, 1), (0, 0)],
        [(1, 1), (0, 0), (1, 5)],
        [(2, 4), (0, 0), (0, 0)],
        [(1, 8), (0, 0), (0, 0)],
    ]


def test_sums_of_a_folder_whose_manifest_comes_later_are_not_kept(services, alice, cells):
    manifest = b'[{"md5": "%s", "relpath": "x"},{"md5": "%s", "relpath": "y"}]' % (
        md5(b"x").encode(),
        md5(b"y").encode(),
    )
    pointer = f"outs:\n- md5: {md5(manifest)}.dir\n  size: 2\n  nfiles: 2\n  hash: md5\n  path: d\n"
    commit = commit_behind(services, cells, {"d.dvc": pointer.encode()})
    assert services.history.version(alice[0], cells, commit)[1].stats.added.files == 1
    assert len(services.history.changes(alice[0], cells, commit)[1].rows) == 1
    services.datasets.open(alice[0], cells, Action.WRITE).pool.receive(
        [manifest], address=md5(manifest) + ".dir"
    )
    assert services.history.version(alice[0], cells, commit)[1].stats.added.files == 2
    assert len(services.history.changes(alice[0], cells, commit)[1].rows) == 2


# Comparing


def _compare(services, alice, dataset, old, new="main"):
    found = services.history.compare(alice[0], dataset, old, new)[1]
    return {(row.kind, row.path, row.old_path) for row in found.rows}, found


def test_a_comparison_names_added_removed_changed_and_renamed(services, alice, cells):
    old = put(
        services, alice[0], cells, {"keep": b"k", "gone": b"g", "new": b"1", "from": b"r", "t.md": b"t"}
    )
    put(services, alice[0], cells, {"added": b"a", "new": b"2", "to": b"r"})
    delete(services, alice[0], cells, "gone")
    delete(services, alice[0], cells, "from")
    rows, found = _compare(services, alice, cells, old)
    assert rows == {
        (RowKind.ADDED, "added", None),
        (RowKind.REMOVED, "gone", None),
        (RowKind.CHANGED, "new", None),
        (RowKind.RENAMED, "to", "from"),
    }
    assert (found.stats.added.files, found.stats.removed.files, found.stats.changed.files) == (2, 2, 1)
    assert _compare(services, alice, cells, "main")[0] == set()


def test_two_copies_of_one_file_are_renamed_once_each(services, alice, cells):
    old = put(services, alice[0], cells, {"a": b"same", "b": b"same"})
    put(services, alice[0], cells, {"c": b"same", "d": b"same", "e": b"same"})
    delete(services, alice[0], cells, "a")
    delete(services, alice[0], cells, "b")
    kinds = sorted(kind for kind, _, _ in _compare(services, alice, cells, old)[0])
    assert kinds == [RowKind.ADDED, RowKind.RENAMED, RowKind.RENAMED]


def test_folders_roll_up_to_the_same_sums(services, alice, cells):
    old = put(services, alice[0], cells, {"a/x": b"xx", "a/y": b"y", "b/z": b"z"})
    put(services, alice[0], cells, {"b/x": b"xx", "b/c/w": b"w", "b/z": b"zz", "top": b"t"})
    delete(services, alice[0], cells, "a/x")
    _, found = _compare(services, alice, cells, old)
    folders = {one.path: one.stats for one in found.by_folder("")}
    assert set(folders) == {"a/", "b/", "top"}
    assert (folders["a/"].removed.files, folders["a/"].removed.size) == (1, 2)
    assert (folders["b/"].added.files, folders["b/"].changed.size) == (2, 2)
    for kind in ("added", "removed", "changed"):
        assert sum(getattr(one, kind).files for one in folders.values()) == getattr(found.stats, kind).files
    assert {one.path for one in found.by_folder("b/")} == {"b/x", "b/c/", "b/z"}


def test_a_rename_out_of_a_folder_is_seen_from_both_sides(services, alice, cells):
    old = put(services, alice[0], cells, {"a/x": b"x"})
    put(services, alice[0], cells, {"b/x": b"x"})
    delete(services, alice[0], cells, "a/x")
    _, found = _compare(services, alice, cells, old)
    assert [row.is_below("a/") for row in found.rows] == [True]
    assert [row.is_below("b/") for row in found.rows] == [True]
    assert [row.is_below("c/") for row in found.rows] == [False]


# Taking back


def test_a_revert_takes_back_one_version_and_keeps_later_ones(services, alice, cells):
    """Invariant 7, D4: history is never rewritten; links by commit id answer the same for ever."""
    wrong = put(services, alice[0], cells, {"a.bin": b"wrong", "b.bin": b"b"})
    put(services, alice[0], cells, {"c.bin": b"c"})
    before = contents(services, alice[0], cells, wrong)
    assert len(services.versions.preview_revert(alice[0], cells, wrong, branch=None)) == 2
    assert len(titles(services, alice[0], cells)) == 3
    services.versions.revert(alice[0], cells, wrong, branch=None)
    assert contents(services, alice[0], cells) == CARD | {"c.bin": b"c"}
    assert contents(services, alice[0], cells, wrong) == before
    assert titles(services, alice[0], cells)[0] == 'Revert "Upload 2 files"'


def test_a_revert_says_when_it_conflicts_or_has_nothing_left(services, alice, cells):
    first = put(services, alice[0], cells, {"a.bin": b"1"})
    put(services, alice[0], cells, {"a.bin": b"2"})
    for attempt in (services.versions.revert, services.versions.preview_revert):
        with pytest.raises(RevertConflictError) as conflict:
            attempt(alice[0], cells, first, branch=None)
        assert conflict.value.paths == ("a.bin",)
    delete(services, alice[0], cells, "a.bin")
    second = put(services, alice[0], cells, {"b.bin": b"2"})
    services.versions.revert(alice[0], cells, second, branch=None)
    for attempt in (services.versions.revert, services.versions.preview_revert):
        with pytest.raises(NothingToCommitError):
            attempt(alice[0], cells, second, branch=None)


def test_the_first_version_cannot_be_reverted(services, alice, cells):
    first = repo_of(services, cells).head("main")
    with pytest.raises(InvalidRefError):
        services.versions.revert(alice[0], cells, first, branch=None)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.bin", {"a.bin": b"1", "d/x": b"2", "new": b"n"}),
        ("d", {"a.bin": b"2", "d/x": b"1", "d/y": b"1", "new": b"n"}),
        ("d/y", {"a.bin": b"2", "d/x": b"2", "d/y": b"1", "new": b"n"}),
        ("", {"a.bin": b"1", "d/x": b"1", "d/y": b"1"}),
        ("new", {"a.bin": b"2", "d/x": b"2"}),
    ],
)
def test_a_restore_makes_a_file_a_folder_or_everything_as_it_was(services, alice, cells, path, expected):
    then = put(services, alice[0], cells, {"a.bin": b"1", "d/x": b"1", "d/y": b"1"})
    put(services, alice[0], cells, {"a.bin": b"2", "d/x": b"2", "new": b"n"})
    delete(services, alice[0], cells, "d/y")
    changes = services.versions.preview_restore(alice[0], cells, then, RepoPath(path), branch=None)
    assert changes
    services.versions.restore(alice[0], cells, then, RepoPath(path), branch=None)
    assert contents(services, alice[0], cells) == CARD | expected
    with pytest.raises((NothingToCommitError, PathNotFoundError)):
        services.versions.restore(alice[0], cells, then, RepoPath(path), branch=None)
    assert fsck(services, cells) == ""


def test_a_restore_of_nothing_and_of_reserved_paths_is_refused(services, alice, cells):
    head = repo_of(services, cells).head("main")
    with pytest.raises(PathNotFoundError):
        services.versions.restore(alice[0], cells, head, RepoPath("absent"), branch=None)
    for path in (".dvc/config", ".cairn/dataset.yaml", ".dvc"):
        with pytest.raises(InvalidPathError):
            services.versions.restore(alice[0], cells, head, RepoPath(path), branch=None)


# Names


def test_a_release_never_moves_whatever_is_tried(services, alice, cells):
    """D4: a release name never means two versions."""
    first = put(services, alice[0], cells, {"a.bin": b"1"})
    second = put(services, alice[0], cells, {"a.bin": b"2"})
    make = services.names.create_tag
    make(alice[0], cells, "v1.0", first, notes="The first")
    for notes in ("Again", None):
        with pytest.raises((ReleaseImmutableError, RefExistsError)):
            make(alice[0], cells, "v1.0", second, notes=notes)
    services.names.delete_tag(alice[0], cells, "v1.0")
    for notes in ("Again", None):
        with pytest.raises(ReleaseImmutableError):
            make(alice[0], cells, "v1.0", second, notes=notes)
    assert make(alice[0], cells, "v1.0", first, notes="Back").commit == first


def test_a_plain_tag_does_not_move_by_being_made_again(services, alice, cells):
    first = put(services, alice[0], cells, {"a.bin": b"1"})
    services.names.create_tag(alice[0], cells, "nightly", "main", notes=None)
    put(services, alice[0], cells, {"a.bin": b"2"})
    with pytest.raises(RefExistsError):
        services.names.create_tag(alice[0], cells, "nightly", "main", notes=None)
    assert contents(services, alice[0], cells, "nightly")["a.bin"] == b"1"
    assert services.names.tags(alice[0], cells)[0].commit == first


def test_a_developer_deletes_tags_but_no_release(services, alice, bob, cells):
    services.memberships.set_member(alice[0], cells, "bob", AccessLevel.DEVELOPER)
    services.names.create_tag(bob[0], cells, "plain", "main", notes=None)
    services.names.create_tag(bob[0], cells, "v1.0", "main", notes="Notes")
    services.names.delete_tag(bob[0], cells, "plain")
    with pytest.raises(ForbiddenError):
        services.names.delete_tag(bob[0], cells, "v1.0")


def test_branches_go_their_own_way_and_leave_their_versions_behind(services, alice, cells):
    """D4: a version stays readable by its id after its branch is gone."""
    services.names.create_branch(alice[0], cells, "work", "main")
    commit = put(services, alice[0], cells, {"a.bin": b"1"}, branch=RefName("work"))
    assert contents(services, alice[0], cells) == CARD
    services.names.delete_branch(alice[0], cells, "work")
    assert contents(services, alice[0], cells, commit)["a.bin"] == b"1"
    with pytest.raises(ConflictError):
        services.names.delete_branch(alice[0], cells, "main")
    with pytest.raises(RefNotFoundError):
        put(services, alice[0], cells, {"b.bin": b"1"}, branch=RefName("work"))


@pytest.mark.parametrize("name", ["latest", "a" * 40])
def test_names_with_a_meaning_of_their_own_are_not_given(services, alice, cells, name):
    """S4: no branch or tag shadows a commit id or a word of the service."""
    with pytest.raises(InvalidRefError):
        services.names.create_branch(alice[0], cells, name, "main")
    with pytest.raises(InvalidRefError):
        services.names.create_tag(alice[0], cells, name, "main", notes=None)


# Links for ever


def test_links_by_commit_answer_the_same_after_all_that_can_happen(services, alice, cells):
    """D4: after revert, restore, tag change, branch deletion, upkeep and rename."""
    commits = [put(services, alice[0], cells, {"a.bin": b"%d" % n, f"{n}.bin": b"x"}) for n in range(4)]
    links = {commit: contents(services, alice[0], cells, commit) for commit in commits}
    services.names.create_tag(alice[0], cells, "v1", commits[0], notes="n")
    services.names.delete_tag(alice[0], cells, "v1")
    services.versions.revert(alice[0], cells, commits[3], branch=None)
    services.versions.restore(alice[0], cells, commits[1], RepoPath(""), branch=None)
    services.datasets.update(alice[0], cells, {"name": "Renamed", "visibility": Visibility.PUBLIC})
    services.versions.maintain(cells)
    assert {commit: contents(services, alice[0], cells, commit) for commit in commits} == links


# Entity tags and look-ups


def test_the_etag_of_a_condition_is_that_of_the_download(services, alice, cells):
    text, other = b"a\r\nb\r\n", b"bytes"
    pool = services.datasets.open(alice[0], cells, Action.WRITE).pool
    address = md5(text.replace(b"\r\n", b"\n"))
    pool.receive_legacy([text], address=address)
    pointer = f"outs:\n- md5: {address}\n  size: {len(text)}\n  path: old.csv\n"
    commit_behind(services, cells, {"old.csv.dvc": pointer.encode()})
    put(services, alice[0], cells, {"new.bin": other, "a.md": other})
    opened = services.datasets.open(alice[0], cells, Action.READ)
    for path, content in {"old.csv": text, "new.bin": other, "a.md": other}.items():
        entry = opened.repo.at().entry(path)
        download = services.downloads.file(alice[0], cells, path, None)
        assert content_etag(opened, entry) == download.file.md5 == md5(content)
    listed = services.downloads.listing(alice[0], cells, ref=None, path="", after="", limit=10)
    facts = {entry.path: facts for entry, facts in listed.rows()}
    assert facts["old.csv"].md5 == md5(text)


def test_a_look_up_finds_paths_and_versions_in_readable_datasets_only(services, alice, bob, cells):
    """S1: whoever may not read a dataset does not learn that it holds some bytes."""
    put(services, alice[0], cells, {"a.bin": b"same", "d/b.bin": b"same"})
    services.names.create_tag(alice[0], cells, "v1", "main", notes=None)
    delete(services, alice[0], cells, "a.bin")
    find = services.lookup.find
    found = {(row.path, row.refs) for row in find(alice[0], [md5(b"same")], by_sha256=False)}
    assert found == {("a.bin", ("v1",)), ("d/b.bin", ("main", "v1"))}
    assert {row.path for row in find(alice[0], [sha256(b"same").upper()], by_sha256=True)} == {
        "a.bin",
        "d/b.bin",
    }
    assert find(bob[0], [md5(b"same")], by_sha256=False) == []
    services.memberships.set_member(alice[0], cells, "bob", AccessLevel.GUEST)
    assert find(bob[0], [md5(b"same")], by_sha256=False) == []
    services.memberships.set_member(alice[0], cells, "bob", AccessLevel.REPORTER)
    assert len(find(bob[0], [md5(b"same")], by_sha256=False)) == 2
    services.datasets.schedule_deletion(alice[0], cells)
    assert find(alice[0], [md5(b"same")], by_sha256=False) == []


def test_a_look_up_takes_a_hundred_hashes_at_once(services, alice):
    with pytest.raises(BadRequestError):
        services.lookup.find(alice[0], ["0" * 32] * 101, by_sha256=False)


def test_a_stranger_reads_no_history(services, bob, alice, cells):
    for read in (
        lambda: services.history.log(bob[0], cells),
        lambda: services.names.tags(bob[0], cells),
        lambda: services.history.compare(bob[0], cells, "main", "main"),
    ):
        with pytest.raises(MissingError):
            read()
