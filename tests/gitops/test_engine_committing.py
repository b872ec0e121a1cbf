"""One commit at a time: what edits do to paths, what revert and restore take back."""

import resource

import pytest
from repositories import (
    MAIN,
    RECORD,
    SITE,
    Foreign,
    by,
    changes_of,
    files,
    fsck,
    land,
    path,
    pointer,
    tracked_by_git,
)

from gitops import layout
from gitops.changes import ChangeSet
from gitops.datarepo import DataRepo
from gitops.errors import (
    EditConflictError,
    InvalidPathError,
    InvalidRefError,
    NothingToCommitError,
    PathClashError,
    PathNotFoundError,
    RefMovedError,
    RefNotFoundError,
    StorageFullError,
)
from gitops.model import ROOT, EntryKind, Pointer, PointerMeta, RefName, RepoPath
from gitops.pointers import render


def moved(repo: DataRepo, old: str, new: str) -> None:
    changes = ChangeSet()
    changes.move(path(old), path(new))
    land(repo, changes)


def test_the_first_commit_is_made_once(repo: DataRepo) -> None:
    head = repo.head(MAIN)
    again = repo.start({RepoPath("x"): b""}, author=by(), message="Again")
    assert again.id == head
    assert sorted(tracked_by_git(repo)) == sorted(layout.first_files(RECORD, name="Cells", description=""))
    assert fsck(repo) == []


def test_a_data_file_becomes_a_text_file_and_back(repo: DataRepo) -> None:
    land(repo, {"a.md": "data"})
    assert "a.md.dvc" in tracked_by_git(repo)
    land(repo, {"a.md": b"text"})
    assert {"a.md"} == {at for at in tracked_by_git(repo) if at.startswith("a.md")}
    land(repo, {"a.md": "data"})
    assert {"a.md.dvc"} == {at for at in tracked_by_git(repo) if at.startswith("a.md")}


@pytest.mark.parametrize("edits", [{"a": "1"}, {"d/t.md": b"text"}, {"README.md": b"# Cells\n"}])
def test_a_change_that_changes_nothing_is_refused(
    repo: DataRepo, edits: dict[str, str | bytes | None]
) -> None:
    land(repo, {"a": "1", "d/t.md": b"text"})
    with pytest.raises(NothingToCommitError):
        land(repo, edits)


@pytest.mark.parametrize("gone", ["absent", "d/absent", "a/below", "absent/x"])
def test_what_is_not_there_cannot_be_removed_or_moved(repo: DataRepo, gone: str) -> None:
    land(repo, {"a": "1", "d/b": "1"})
    with pytest.raises(PathNotFoundError) as caught:
        land(repo, {gone: None})
    assert caught.value.paths == (gone,)
    with pytest.raises(PathNotFoundError):
        moved(repo, gone, "elsewhere")


@pytest.mark.parametrize(
    ("edits", "named"),
    [
        ({"a/x": "1"}, "a/x"),
        ({"t.md/x": "1"}, "t.md/x"),
        ({"d": "1"}, "d"),
        ({"d": b"1"}, "d"),
        ({"A": "1"}, "A"),
        ({"D/x": "1"}, "D"),
        ({"d/B": "1"}, "d/B"),
        ({"n": "1", "N": "1"}, "N"),
        ({"n": "1", "n/x": "1"}, "n"),
        ({"n/x": "1", "N/y": "1"}, "N"),
        ({"É": "1"}, "É"),
    ],
)
def test_paths_that_many_computers_cannot_hold_side_by_side_clash(
    repo: DataRepo, edits: dict[str, str | bytes | None], named: str
) -> None:
    head = land(repo, {"a": "1", "t.md": b"1", "d/b": "1", "é": "1"}).commit.id
    with pytest.raises(PathClashError) as caught:
        land(repo, edits)
    assert named in caught.value.paths
    assert repo.head(MAIN) == head


@pytest.mark.parametrize(
    ("edits", "left"),
    [
        ({"d": None, "D/b": "1"}, "D/b"),
        ({"d": None, "d/B": "1"}, "d/B"),
        ({"d/b": None, "d/B": "1"}, "d/B"),
        ({"d": None, "d/b/c": "1"}, "d/b/c"),
    ],
)
def test_a_name_is_free_once_its_twin_is_removed(
    repo: DataRepo, edits: dict[str, str | bytes | None], left: str
) -> None:
    land(repo, {"d/b": "1"})
    land(repo, edits)
    assert sorted(files(repo)) == sorted(["README.md", left])


def test_a_file_is_moved_with_its_pointer_renamed_inside(repo: DataRepo) -> None:
    land(repo, {"a": "1", "t.md": b"text"})
    changes = ChangeSet()
    changes.move(path("a"), path("d/b'ü #.bin"))
    changes.move(path("t.md"), path("u.md"))
    land(repo, changes)
    assert files(repo) == {"README.md": "# Cells\n", "d/b'ü #.bin": pointer("1").md5, "u.md": "text"}


def test_moving_keeps_what_others_wrote_into_a_pointer(repo: DataRepo, foreign: Foreign) -> None:
    text = (
        b"# by hand\ndeps:\n- path: https://host/x.jpg\n  etag: '\"1\"'\nouts:\n- md5: " + b"0" * 32 + b"\n"
        b"  size: 3\n  hash: md5\n  path: x.jpg\n  remote: mirror\nmeta:\n  owner: me\n"
    )
    foreign.add({b"x.jpg.dvc": foreign.blob(text)})
    moved(repo, "x.jpg", "y.jpg")
    assert repo.at().read_raw(path("y.jpg.dvc")) == text.replace(b"path: x.jpg", b"path: y.jpg")


def test_a_folder_moves_as_one_tree(repo: DataRepo) -> None:
    land(repo, {f"d/e/{number}": str(number) for number in range(50)} | {"d/t.md": b"text"})
    before = repo.at().folder_tag(path("d/e"))
    moved(repo, "d", "n/m")
    assert repo.at().folder_tag(path("n/m/e")) == before
    assert "d" not in {entry.name for entry in repo.at().list(ROOT).entries}
    assert files(repo)["n/m/t.md"] == "text"


@pytest.mark.parametrize(
    ("old", "new"), [("d", "d/x"), ("d", "a"), ("d", "t.md"), ("a", "d"), ("a", "t.md/x"), ("d", "A")]
)
def test_a_move_that_does_not_fit_clashes(repo: DataRepo, old: str, new: str) -> None:
    land(repo, {"a": "1", "t.md": b"t", "d/b": "1"})
    with pytest.raises(PathClashError):
        moved(repo, old, new)


@pytest.mark.parametrize("edit", [{"imgs/new": "1"}, {"imgs/a": None}])
def test_a_folder_that_dvc_tracks_as_one_is_not_changed_in_part(
    repo: DataRepo, edit: dict[str, str | bytes | None]
) -> None:
    foreign = Foreign(repo)
    text = f"outs:\n- md5: {'1' * 32}.dir\n  size: 8\n  nfiles: 4\n  hash: md5\n  path: imgs\n"
    foreign.add({b"imgs.dvc": foreign.blob(text.encode())})

    with pytest.raises(PathClashError, match="tracked by DVC as one"):
        land(repo, edit)


@pytest.mark.parametrize(("old", "new"), [("t.md", "a"), ("a", "t.md"), ("a", "b"), ("t.md", "u.md")])
def test_a_file_moved_over_a_file_replaces_it(repo: DataRepo, old: str, new: str) -> None:
    land(repo, {"a": "1", "b": "2", "t.md": b"t", "u.md": b"u"})
    before = files(repo)
    moved(repo, old, new)
    assert files(repo) == {at: one for at, one in before.items() if at != old} | {new: before[old]}
    assert len(tracked_by_git(repo)) == len(set(files(repo))) + 5


def test_a_rename_that_changes_only_case_works(repo: DataRepo) -> None:
    land(repo, {"Foo": "1", "D/x": "2"})
    moved(repo, "Foo", "foo")
    moved(repo, "D", "d")
    assert sorted(files(repo)) == ["README.md", "d/x", "foo"]


def test_a_commit_on_an_unknown_branch_is_refused(repo: DataRepo) -> None:
    with pytest.raises(RefNotFoundError):
        land(repo, {"a": "1"}, base=repo.head(MAIN), branch=RefName("absent"))


def test_a_strict_commit_lands_only_on_the_version_it_saw(repo: DataRepo) -> None:
    base = repo.head(MAIN)
    moved_on = land(repo, {"a": "1"}).commit.id
    with pytest.raises(RefMovedError) as caught:
        repo.commit(
            changes_of({"b": "1"}), branch=MAIN, base=base, author=by(), message="x", only_on_base=True
        )
    assert caught.value.head == moved_on


def test_a_full_disk_refuses_the_commit_and_moves_nothing(
    repo: DataRepo, request: pytest.FixtureRequest
) -> None:
    """Promise D7: no half-written commit, reads go on, recovery by itself."""
    land(repo, {"a": "1"})
    head = repo.head(MAIN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    request.addfinalizer(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    with pytest.raises(StorageFullError):
        land(repo, {f"{number}": str(number) for number in range(200)})
    assert repo.head(MAIN) == head
    assert "a" in files(repo)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [one.name for one in (repo.git.path / "objects" / "pack").glob("tmp_*")] == []
    land(repo, {"b": "1"})
    assert fsck(repo) == []


@pytest.mark.parametrize("notes", [None, "First release"])
def test_a_full_disk_is_not_taken_for_a_name_that_exists(
    repo: DataRepo, request: pytest.FixtureRequest, notes: str | None
) -> None:
    head = repo.head(MAIN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    request.addfinalizer(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
    with pytest.raises(StorageFullError):
        repo.tag(RefName("v1"), head, author=by(), notes=notes)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert repo.tag(RefName("v1"), head, author=by(), notes=notes).commit == head


# Joining


def test_disjoint_edits_of_one_base_all_land(repo: DataRepo) -> None:
    """Promise D3."""
    base = repo.head(MAIN)
    for name in "abc":
        land(repo, {f"{name}": name, f"d/{name}": name}, base=base)
    assert sorted(files(repo)) == ["README.md", "a", "b", "c", "d/a", "d/b", "d/c"]
    assert fsck(repo) == []


@pytest.mark.parametrize(
    ("theirs", "ours", "named"),
    [
        ({"a": "2"}, {"a": "3"}, ["a"]),
        ({"a": "2"}, {"a": None}, ["a"]),
        ({"a": None}, {"a": "2"}, ["a"]),
        ({"t.md": b"2"}, {"t.md": b"3"}, ["t.md"]),
        ({"t.md": b"2"}, {"t.md": "3"}, ["t.md"]),
        ({"n": "2"}, {"n": b"3"}, ["n"]),
        ({"n": "2"}, {"n/x": "3"}, ["n"]),
        ({"n": "2"}, {"N": "3"}, ["N", "n"]),
        ({"n/x": "2"}, {"N/y": "3"}, ["N", "n"]),
        ({"d/x": "2", "d/y": "2"}, {"d/x": "3", "d/y": "3", "d/z": "1"}, ["d/x", "d/y"]),
        ({"d/b": "9"}, {"d": None}, ["d/b"]),
    ],
)
def test_edits_of_the_same_path_conflict_by_name(
    repo: DataRepo,
    theirs: dict[str, str | bytes | None],
    ours: dict[str, str | bytes | None],
    named: list[str],
) -> None:
    """Promise D3: the others are told which path."""
    base = land(repo, {"a": "1", "t.md": b"1", "d/b": "1"}).commit.id
    head = land(repo, theirs, base=base).commit.id
    with pytest.raises(EditConflictError) as caught:
        land(repo, ours, base=base)
    assert list(caught.value.paths) == named
    assert repo.head(MAIN) == head


def test_the_same_edit_twice_is_no_conflict(repo: DataRepo) -> None:
    base = repo.head(MAIN)
    land(repo, {"a": "1"}, base=base)
    with pytest.raises(NothingToCommitError):
        land(repo, {"a": "1"}, base=base)


def test_a_merge_function_joins_two_edits_of_one_text(repo: DataRepo) -> None:
    """Invariant 5: one item, one file; two saves of it are joined by the edit's own rule."""
    target = path(".cairn/annotations/a.jpg.jsonl")
    asked: list[tuple[bytes | None, bytes | None, bytes]] = []

    def union(base: bytes | None, theirs: bytes | None, ours: bytes) -> bytes:
        asked.append((base, theirs, ours))
        return b"".join(sorted({*(theirs or b"").splitlines(True), *ours.splitlines(True)}))

    def save(content: bytes, base: str) -> None:
        changes = ChangeSet()
        changes.write(target, content, merge=union)
        land(repo, changes, base=base)

    base = land(repo, {".cairn/annotations/a.jpg.jsonl": b"0\n"}).commit.id
    save(b"0\n1\n", base)
    save(b"0\n2\n", base)
    assert asked == [(b"0\n", b"0\n1\n", b"0\n2\n")]
    assert repo.at().read_raw(target) == b"0\n1\n2\n"


def test_a_merge_function_may_refuse(repo: DataRepo) -> None:
    base = repo.head(MAIN)
    land(repo, {"a.md": b"1"}, base=base)
    changes = ChangeSet()
    changes.write(path("a.md"), b"2", merge=lambda *_: None)
    with pytest.raises(EditConflictError):
        land(repo, changes, base=base)


# Taking back


def test_a_revert_takes_back_exactly_what_one_version_changed(repo: DataRepo) -> None:
    """Invariant 7: history is never rewritten; a revert is a new commit."""
    land(repo, {"a": "1", "b": "1", "d/x": "1"})
    undone = land(repo, {"a": "2", "b": None, "c": "2", "d": None}).commit
    land(repo, {"later": "3"})
    shown = repo.preview_revert(undone.id, branch=MAIN)
    landed = repo.revert(undone.id, branch=MAIN, author=by(), message="Revert")
    expected = {"README.md": "# Cells\n", "later": pointer("3").md5} | dict.fromkeys(
        ["a", "b", "d/x"], pointer("1").md5
    )
    assert files(repo) == expected
    assert sorted(change.path for change in shown) == ["a", "b", "c", "d/x"]
    assert undone.id in [one.id for one in repo.log(landed.commit.id)]
    assert files(repo, undone.id).keys() == {"README.md", "a", "c"}


def test_a_revert_of_what_changed_again_conflicts_by_name(repo: DataRepo) -> None:
    undone = land(repo, {"a": "1", "b": "1"}).commit.id
    land(repo, {"a": "2"})
    for take_back in (
        lambda: repo.revert(undone, branch=MAIN, author=by(), message="x"),
        lambda: repo.preview_revert(undone, branch=MAIN),
    ):
        with pytest.raises(EditConflictError) as caught:
            take_back()
        assert caught.value.paths == ("a",)


def test_a_revert_of_what_is_undone_already_is_empty(repo: DataRepo) -> None:
    undone = land(repo, {"a": "1"}).commit.id
    repo.revert(undone, branch=MAIN, author=by(), message="x")
    for take_back in (
        lambda: repo.revert(undone, branch=MAIN, author=by(), message="x"),
        lambda: repo.preview_revert(undone, branch=MAIN),
    ):
        with pytest.raises(NothingToCommitError):
            take_back()


def test_a_revert_does_not_bring_back_a_name_whose_twin_was_added_since(repo: DataRepo) -> None:
    land(repo, {"a": "1"})
    undone = land(repo, {"a": None}).commit.id
    land(repo, {"A": "2"})
    with pytest.raises(EditConflictError):
        repo.revert(undone, branch=MAIN, author=by(), message="x")


def test_the_first_version_cannot_be_reverted(repo: DataRepo) -> None:
    with pytest.raises(InvalidRefError):
        repo.revert(repo.head(MAIN), branch=MAIN, author=by(), message="x")


def test_no_way_of_going_back_rebinds_a_dataset(repo: DataRepo) -> None:
    """Invariant 3: a dataset's site never changes, whatever is reverted or restored."""
    first = land(repo, {"a": "1"}).commit.id
    changes = changes_of({"b": "1"})
    changes.bind(
        layout.DatasetRecord(1, "http://localhost/dvc/1", layout.SiteRecord(2, "new", "s3", "s3://new"))
    )
    bound = land(repo, changes).commit.id
    wanted = {at: repo.at().read_raw(at) for at in (layout.DVC_CONFIG, layout.DATASET_FILE)}
    repo.revert(bound, branch=MAIN, author=by(), message="x")
    assert "b" not in files(repo)
    assert {at: repo.at().read_raw(at) for at in wanted} == wanted
    land(repo, {"a": "2"})
    repo.restore(first, ROOT, branch=MAIN, author=by(), message="x")
    assert {at: repo.at().read_raw(at) for at in wanted} == wanted
    for at in (".dvc", ".dvc/config", ".cairn", ".cairn/dataset.yaml"):
        with pytest.raises(InvalidPathError):
            repo.restore(first, path(at), branch=MAIN, author=by(), message="x")
    assert SITE.url.encode() in (repo.at(first).read_raw(layout.DVC_CONFIG) or b"")


def restored(repo: DataRepo, source: str, at: str) -> None:
    preview = repo.preview_restore(repo.resolve(RefName(source)), path(at), branch=MAIN)
    before = files(repo)
    repo.restore(repo.resolve(RefName(source)), path(at), branch=MAIN, author=by(), message="Restore")
    after = files(repo)
    changed = {one for one in before | after if before.get(one) != after.get(one)}
    assert changed == {change.path for change in preview}


def test_a_file_a_folder_or_everything_is_restored(repo: DataRepo) -> None:
    old = land(
        repo, {"a": "1", "t.md": b"1", "d/x": "1", "d/y": "1", ".cairn/annotations/a.jsonl": b"1"}
    ).commit.id
    land(
        repo, {"a": b"2", "t.md": "2", "d/x": None, "d/z": "2", "n": "2", ".cairn/annotations/a.jsonl": b"2"}
    )
    restored(repo, old, "a")
    assert files(repo)["a"] == pointer("1").md5
    restored(repo, old, "d")
    assert {at for at in files(repo) if at.startswith("d/")} == {"d/x", "d/y"}
    restored(repo, old, "")
    assert files(repo) == files(repo, old)
    assert repo.at().read_raw(path(".cairn/annotations/a.jsonl")) == b"2"
    with pytest.raises(NothingToCommitError):
        restored(repo, old, "")
    assert fsck(repo) == []


def test_restoring_what_was_absent_removes_it(repo: DataRepo) -> None:
    old = repo.head(MAIN)
    land(repo, {"a": "1", "d/x": "1"})
    restored(repo, old, "a")
    restored(repo, old, "d")
    assert files(repo) == files(repo, old)
    with pytest.raises(PathNotFoundError):
        restored(repo, old, "absent")


@pytest.mark.parametrize(("old", "new"), [("d/x", "d"), ("d/x", "D/y"), ("a", "A"), ("d/x/y", "d/x")])
@pytest.mark.parametrize("content", ["data", b"text"])
def test_restoring_does_not_silently_replace_what_took_the_place(
    repo: DataRepo, old: str, new: str, content: str | bytes
) -> None:
    was = land(repo, {old: "1"}).commit.id
    land(repo, {old: None})
    land(repo, {new: content})
    with pytest.raises(PathClashError):
        restored(repo, was, old)
    assert new in files(repo)


def test_facts_of_a_pointer_survive_a_commit(repo: DataRepo) -> None:
    meta = PointerMeta(
        sha256="1" * 64, crc32="12345678", media_type="image/png", width=3, height=4, duration=1.5
    )
    full = Pointer(pointer("x").md5, 10**12, meta)
    changes = ChangeSet()
    changes.put(path("a.png"), full)
    land(repo, changes)
    entry = repo.at().entry(path("a.png"))
    assert (entry.kind, entry.pointer, entry.size) == (EntryKind.DATA, full, 10**12)
    assert repo.at().read_raw(path("a.png.dvc")) == render(full, "a.png")
