"""What a version shows: rows, pages, walks, totals, history and differences, of anything git accepts."""

import json
import time
import unicodedata
from itertools import islice

import pytest
from repositories import MAIN, Foreign, by, files, git, land, open_repo, path, pointer, store

from gitops import trees, upkeep
from gitops.changes import ChangeSet
from gitops.counting import MAX_WALK_DEPTH
from gitops.datarepo import DataRepo
from gitops.errors import PathNotFoundError
from gitops.model import ROOT, Change, CommitId, Entry, EntryKind, Md5, RefName, RepoPath, Totals
from gitops.snapshot import Snapshot
from gitops.trees import EXECUTABLE, GITLINK, SYMLINK, Node

BROKEN = b"outs:\n- md5: nonsense\n  path: x\n"


def names(snapshot: Snapshot, folder: str = "") -> list[str]:
    return [entry.name for entry in snapshot.list(path(folder)).entries]


def row(snapshot: Snapshot, at: str) -> Entry:
    """Return a row as its folder lists it, which must be how it is looked up."""
    parent = RepoPath(at.rpartition("/")[0])
    listed = {entry.path: entry for entry in snapshot.list(parent).entries}[RepoPath(at)]
    assert snapshot.entry(RepoPath(at)) == listed
    return listed


def rich(repo: DataRepo) -> Snapshot:
    """A version with every kind of row at several depths."""
    land(
        repo,
        {f"d/{n:03}.jpg": str(n) for n in range(12)}
        | {
            "d/e/f/g.bin": "1",
            "d/e.md": b"1",
            "d-x/a": "1",
            "d.x": "1",
            "z/t.md": b"1",
            "z/u": "2",
            "é/ü.bin": "1",
        }
        | {".cairn/annotations/d/000.jpg.jsonl": b"hidden"},
    )
    manifest = [{"md5": str(store(repo, at.encode())), "relpath": at} for at in ("a", "s/b", "s/c", "t")]
    address = store(repo, json.dumps(manifest).encode(), suffix=".dir")
    foreign = Foreign(repo)
    text = f"outs:\n- md5: {address}\n  size: 8\n  nfiles: 4\n  hash: md5\n  path: imgs\n".encode()
    lock = (
        "schema: '2.0'\nstages:\n  s:\n    outs:\n    - path: z/model.bin\n      md5: "
        + "1" * 32
        + "\n      size: 5\n"
        "    - path: z/t.md\n      md5: "
        + "2" * 32
        + "\n      size: 9\n    - path: built/x\n      md5: "
        + "3" * 32
        + "\n"
        f"    - path: whole\n      md5: {address}\n      size: 8\n"
    )
    foreign.add({b"imgs.dvc": foreign.blob(text), b"dvc.lock": foreign.blob(lock.encode())})
    return repo.at()


def test_hidden_files_are_not_listed(repo: DataRepo) -> None:
    land(repo, {"a": "1", ".cairn/annotations/a.jsonl": b"x"})
    assert names(repo.at()) == ["README.md", "a"]
    assert repo.at().read_raw(path(".cairn/annotations/a.jsonl")) == b"x"
    assert repo.at().read_raw(path("absent")) is None


def test_pages_joined_are_the_folder(repo: DataRepo) -> None:
    snapshot = rich(repo)
    for folder in ("", "d", "imgs", "z"):
        whole = snapshot.list(path(folder)).entries
        for limit in (1, 2, 3, 100):
            found: list[Entry] = []
            after: str | None = ""
            while after is not None:
                page = snapshot.list(path(folder), after=after, limit=limit)
                found += page.entries
                after = page.next_after
            assert tuple(found) == whole


def test_a_walk_resumed_after_any_file_yields_the_rest(repo: DataRepo) -> None:
    snapshot = rich(repo)
    whole = [entry.path for entry in snapshot.walk()]
    assert len(whole) == len(set(whole))
    assert {"d/e/f/g.bin", "imgs/s/b", "z/model.bin", "built/x", "whole/s/c", "é/ü.bin"} <= set(whole)
    assert not [at for at in whole if at.startswith(".")]
    for number, at in enumerate(whole):
        assert [entry.path for entry in snapshot.walk(after=at)] == whole[number + 1 :]
    for folder in ("d", "imgs", "d/e", "whole"):
        below = [at for at in whole if at.startswith(folder + "/")]
        assert [entry.path for entry in snapshot.walk(path(folder))] == below
        for number, at in enumerate(below):
            assert [one.path for one in snapshot.walk(path(folder), after=at)] == below[number + 1 :]


def test_totals_are_those_of_a_walk(repo: DataRepo) -> None:
    snapshot = rich(repo)
    for folder in ("", "d", "imgs", "imgs/s", "z", "whole", "built", "d/e", "é"):
        found = list(snapshot.walk(path(folder)))
        assert snapshot.totals(path(folder)) == Totals(
            len(found), sum(entry.size or 0 for entry in found), sum(entry.size is None for entry in found)
        )


def test_what_git_holds_itself_is_not_shown_twice(repo: DataRepo) -> None:
    """A metrics file is in git and in dvc.lock."""
    snapshot = rich(repo)
    assert names(snapshot, "z") == ["model.bin", "t.md", "u"]
    assert row(snapshot, "z/t.md").kind is EntryKind.TEXT
    assert row(snapshot, "z/model.bin").size == 5


def test_a_tracked_folder_opens_like_any_other(repo: DataRepo) -> None:
    snapshot = rich(repo)
    folder = row(snapshot, "imgs")
    assert (folder.kind, folder.size if folder.size is None else 8) == (EntryKind.FOLDER, folder.size)
    assert names(snapshot, "imgs") == ["a", "s", "t"]
    assert snapshot.entry(path("imgs/s/b")).size == 3
    with pytest.raises(PathNotFoundError):
        snapshot.entry(path("imgs/absent"))


@pytest.mark.parametrize("at", ["absent", "d/absent", "README.md/x", "d/000.jpg/x", "absent/x/y"])
def test_what_is_not_there_is_not_found(repo: DataRepo, at: str) -> None:
    snapshot = rich(repo)
    for ask in (
        snapshot.entry,
        snapshot.list,
        snapshot.totals,
        snapshot.read,
        lambda one: list(snapshot.walk(one)),
    ):
        with pytest.raises(PathNotFoundError):
            ask(path(at))


def test_a_data_file_is_no_text(repo: DataRepo) -> None:
    snapshot = rich(repo)
    for at in ("d", "d/000.jpg", ""):
        with pytest.raises(PathNotFoundError):
            snapshot.read(path(at))
    assert snapshot.read(path("d/e.md")) == b"1"


def test_a_pointer_of_dvc_2_is_a_row_like_others(repo: DataRepo, foreign: Foreign) -> None:
    foreign.add(
        {b"old.txt.dvc": foreign.blob(b"outs:\n- md5: " + b"1" * 32 + b"\n  size: 3\n  path: old.txt\n")}
    )
    entry = row(repo.at(), "old.txt")
    assert entry.pointer
    assert (entry.problem, entry.pointer.is_legacy, entry.size) == (None, True, 3)


# Readers tolerate


def test_broken_rows_have_a_problem_and_their_folder_lists(repo: DataRepo, foreign: Foreign) -> None:
    """Promise S2: that row is broken, the folder lists."""
    sound = foreign.pointer("sound", "1")
    link = foreign.blob(b"../../etc/passwd", SYMLINK)
    foreign.add(
        {
            b"sound.dvc": sound,
            b"broken.dvc": foreign.blob(BROKEN),
            b"huge.dvc": foreign.blob(b"outs:\n" + b"#" * 70_000),
            b"deep.dvc": foreign.blob(b"[" * 60_000),
            b"renamed.dvc": sound,
            b"link": link,
            b"linked.dvc": link,
            b"module": Node(GITLINK, b"\1" * 20),
            b"moduled.dvc": Node(GITLINK, b"\1" * 20),
            b"run.sh": foreign.blob(b"x", EXECUTABLE),
            b"\xff\xfe": foreign.blob(b"x"),
            b"\xff.dvc": sound,
            b"new\nline": foreign.blob(b"x"),
            b"back\\slash.dvc": foreign.pointer("back\\slash", "1"),
            b"dot.": foreign.blob(b"x"),
            b".dvc.dvc": sound,
            b"git~1": foreign.blob(b"x"),
        }
    )
    snapshot = repo.at()
    listed = snapshot.list(ROOT).entries
    problems = {entry.name: bool(entry.problem) for entry in listed}
    assert problems == {
        "README.md": False,
        "sound": False,
        "run.sh": False,
        **dict.fromkeys(
            ["broken", "huge", "deep", "renamed", "link", "linked.dvc", "module", "moduled.dvc"], True
        ),
        **dict.fromkeys(["\ufffd\ufffd", "\ufffd", "new\nline", "back\\slash", "dot.", "git~1"], True),
    }
    assert len(list(snapshot.walk())) >= len(listed) - 1
    assert snapshot.totals().files >= 3
    for entry in listed:
        if "\ufffd" not in entry.name:
            assert snapshot.entry(entry.path) == entry
    assert land(repo, {"more": "1"})


def test_a_pointer_beside_its_name_shows_both(repo: DataRepo, foreign: Foreign) -> None:
    twin = foreign.pointer("x", "1")
    foreign.add(
        {b"x": foreign.blob(b"text"), b"x.dvc": twin, b"d": foreign.tree({b"f": twin}), b"d.dvc": twin}
    )
    snapshot = repo.at()
    assert names(snapshot) == ["README.md", "d", "d.dvc", "x", "x.dvc"]
    assert (row(snapshot, "x").kind, row(snapshot, "d").kind) == (EntryKind.TEXT, EntryKind.FOLDER)
    assert row(snapshot, "x.dvc").problem
    assert row(snapshot, "d.dvc").problem
    assert snapshot.list(ROOT, after="x", limit=1).entries[0].name == "x.dvc"


def test_case_twins_that_were_pushed_are_two_rows_and_stop_no_writer(
    repo: DataRepo, foreign: Foreign
) -> None:
    foreign.add({b"A": foreign.blob(b"1"), b"a": foreign.blob(b"2")})
    base = repo.head(MAIN)
    land(repo, {"n": "1"})
    land(repo, {"m": "1"}, base=base)
    assert names(repo.at()) == ["A", "README.md", "a", "m", "n"]


def test_names_in_decomposed_form_are_found_by_their_composed_form(repo: DataRepo, foreign: Foreign) -> None:
    """A Mac without core.precomposeunicode pushes NFD."""
    decomposed = unicodedata.normalize("NFD", "é")
    manifest = [{"md5": str(store(repo, b"x")), "relpath": decomposed + "/" + decomposed}]
    address = store(repo, json.dumps(manifest).encode(), suffix=".dir")
    inner = foreign.tree({f"{decomposed}.dvc".encode(): foreign.pointer(decomposed, "1")})
    tracked = foreign.blob(f"outs:\n- md5: {address}\n  hash: md5\n  path: t\n".encode())
    foreign.add(
        {decomposed.encode(): inner, f"{decomposed}.md".encode(): foreign.blob(b"t"), b"t.dvc": tracked}
    )
    snapshot = repo.at()
    walked = [entry.path for entry in snapshot.walk()]
    assert walked == ["README.md", "t/é/é", "é/é", "é.md"]
    for at in walked:
        assert snapshot.entry(at).problem is None
    assert snapshot.read(path("é.md")) == b"t"


@pytest.mark.parametrize(
    "content",
    [
        b"not json",
        b"{}",
        b'[{"md5": "0", "relpath": "a"}]',
        b'[{"relpath": "../x", "md5": "' + b"0" * 32 + b'"}]',
        None,
    ],
)
def test_a_manifest_that_cannot_be_read_is_one_unopenable_folder(
    repo: DataRepo, foreign: Foreign, content: bytes | None
) -> None:
    address = store(repo, content, suffix=".dir") if content else Md5("0" * 32 + ".dir")
    text = f"outs:\n- md5: {address}\n  hash: md5\n  path: t\n".encode()
    foreign.add({b"t.dvc": foreign.blob(text)})
    snapshot = repo.at()
    assert names(snapshot) == ["README.md", "t"]
    assert snapshot.totals() == Totals(2, 8, 1) or snapshot.totals().unsized == 1
    assert [entry.path for entry in snapshot.walk()] == ["README.md", "t"]
    with pytest.raises(PathNotFoundError):
        snapshot.list(path("t"))


@pytest.mark.parametrize(
    "lock", [b"[", b"stages: []", b"\xff", b"stages:\n  a:\n    outs:\n    - path: x\n      md5: no\n"]
)
def test_a_broken_lock_file_hides_nothing_else(repo: DataRepo, foreign: Foreign, lock: bytes) -> None:
    foreign.add({b"dvc.lock": foreign.blob(lock), b"a.dvc": foreign.pointer("a", "1")})
    assert "a" in names(repo.at())
    assert repo.at().totals().files >= 2


def test_a_lock_file_cannot_reach_into_what_is_hidden(repo: DataRepo, foreign: Foreign) -> None:
    text = b"stages:\n  a:\n    outs:\n    - path: .cairn/x\n      md5: " + b"1" * 32 + b"\n"
    foreign.add({b"dvc.lock": foreign.blob(text)})
    assert ".cairn" not in names(repo.at())


def _bomb(foreign: Foreign) -> CommitId:
    """Eleven objects that stand for 10^10 paths."""
    inner = foreign.tree({b"f%d.dvc" % n: foreign.pointer(f"f{n}", "1") for n in range(10)})
    for _ in range(9):
        inner = foreign.tree({b"d%d" % n: inner for n in range(10)})
    return foreign.add({b"bomb": inner})


def test_a_tree_that_stands_for_ten_thousand_million_paths_is_bounded(
    repo: DataRepo, foreign: Foreign
) -> None:
    """Promise S2 and facts §4.7: every walk is bounded, listing and counting cost what is stored."""
    before = repo.head(MAIN)
    bomb = _bomb(foreign)
    started = time.process_time()
    snapshot = repo.at()
    assert len(names(snapshot, "bomb")) == 10
    assert snapshot.totals(path("bomb")) == Totals(10**10, 10**10)
    assert len(list(islice(snapshot.walk(), 1000))) == 1000
    assert len(list(islice(repo.diff(before, bomb), 1000))) == 1000
    assert len(repo.preview_revert(bomb, branch=MAIN)) < 11_000
    land(repo, {"bomb/d0/x": "1"})
    assert time.process_time() - started < 5


def test_a_bottomless_folder_is_bounded(repo: DataRepo, foreign: Foreign) -> None:
    inner = foreign.tree({b"f.dvc": foreign.pointer("f", "1")})
    for _ in range(10_000):
        inner = foreign.tree({b"d": inner})
    before = repo.head(MAIN)
    after = foreign.add({b"d": inner, b"a.dvc": foreign.pointer("a", "1")})
    snapshot = repo.at()
    assert names(snapshot) == ["README.md", "a", "d"]
    assert snapshot.totals().files == 2
    walked = list(snapshot.walk())
    assert [entry.path for entry in walked[:2]] == ["README.md", "a"]
    assert walked[2].problem
    assert walked[2].path.count("/") == MAX_WALK_DEPTH
    assert [change.path for change in repo.diff(before, after)] == ["a"]
    changes = ChangeSet()
    changes.remove(path("d"))
    land(repo, changes)
    assert names(repo.at()) == ["README.md", "a"]


# History and differences


def test_the_log_of_a_path_names_the_versions_that_changed_it(repo: DataRepo) -> None:
    ids = {}
    for number, (name, edits) in enumerate(
        {
            "add a": {"a": "1"},
            "add d": {"d/x": "1", "t.md": b"1"},
            "change a": {"a": "2"},
            "a to text": {"a": b"2"},
            "change d": {"d/y": "1"},
            "drop a": {"a": None},
        }.items()
    ):
        ids[name] = land(repo, edits, minute=number, message=name).commit.id
    head = repo.head(MAIN)

    def titles(at: str) -> list[str]:
        return [commit.title for commit in repo.log(head, path=path(at))]

    assert titles("") == [*reversed(ids), "Create"]
    assert titles("a") == ["drop a", "a to text", "change a", "add a"]
    assert titles("d") == ["change d", "add d"]
    assert titles("d/x") == ["add d"]
    assert titles("absent/x") == []


def test_the_log_of_a_file_in_a_tracked_folder_is_that_of_its_folder(
    repo: DataRepo, foreign: Foreign
) -> None:
    text = b"outs:\n- md5: " + b"1" * 32 + b".dir\n  hash: md5\n  path: t\n"
    commit = foreign.add({b"t.dvc": foreign.blob(text)})
    land(repo, {"a": "1"})
    assert [one.id for one in repo.log(repo.head(MAIN), path=path("t/s/a"))] == [commit]


def brief(change: Change) -> tuple[str, EntryKind | None, EntryKind | None]:
    return (
        change.path,
        change.before.kind if change.before else None,
        change.after.kind if change.after else None,
    )


def test_a_difference_names_what_was_added_changed_and_removed(repo: DataRepo) -> None:
    old = land(
        repo, {"a": "1", "b": "1", "c.md": "1", "d/x": "1", "d/y": b"1", ".cairn/annotations/a": b"1"}
    ).commit.id
    new = land(
        repo, {"a": "2", "b": None, "c.md": b"1", "d/z": "1", "n": b"1", ".cairn/annotations/a": b"2"}
    ).commit.id
    data, text = EntryKind.DATA, EntryKind.TEXT
    assert [brief(change) for change in repo.diff(old, new)] == [
        ("a", data, data),
        ("b", data, None),
        ("c.md", data, text),
        ("n", None, text),
        ("d/z", None, data),
    ]
    assert [brief(change)[0] for change in repo.diff(old, new, folder=path("d"))] == ["d/z"]
    assert [brief(change) for change in repo.diff(new, old)][1] == ("b", None, data)
    assert list(repo.diff(old, old)) == []
    assert {change.path for change in repo.diff(None, old)} == set(files(repo, old))


def test_a_difference_of_tracked_folders_is_that_of_their_files(repo: DataRepo) -> None:
    def track(rows: dict[str, str]) -> CommitId:
        manifest = [{"md5": str(store(repo, text.encode())), "relpath": at} for at, text in rows.items()]
        address = store(repo, json.dumps(manifest).encode(), suffix=".dir")
        foreign = Foreign(repo)
        return foreign.add(
            {b"t.dvc": foreign.blob(f"outs:\n- md5: {address}\n  hash: md5\n  path: t\n".encode())}
        )

    old = track({"a": "1", "s/b": "1", "c": "1"})
    new = track({"a": "1", "s/b": "2", "n": "1"})
    changes = {change.path: change for change in repo.diff(old, new)}
    assert set(changes) == {"t/s/b", "t/c", "t/n"}
    assert (changes[path("t/c")].after, changes[path("t/n")].before) == (None, None)
    now = changes[path("t/s/b")].after
    assert now
    assert now.pointer
    assert now.pointer.md5 == pointer("2").md5


def test_a_difference_shows_broken_rows_as_such(repo: DataRepo, foreign: Foreign) -> None:
    before = repo.head(MAIN)
    rows = {
        b"b.dvc": foreign.blob(BROKEN),
        b"m": Node(GITLINK, b"\1" * 20),
        b"l.dvc": foreign.blob(b"x", SYMLINK),
    }
    after = foreign.add(rows)
    changes = list(repo.diff(before, after))
    assert len(changes) == 3
    assert all(change.after and change.after.problem for change in changes)


def test_the_tag_of_a_folder_changes_with_its_content_only(repo: DataRepo) -> None:
    land(repo, {"d/a": "1", "e/a": "1"})
    before = {folder: repo.at().folder_tag(path(folder)) for folder in ("", "d", "e")}
    land(repo, {"d/a": "2"})
    after = {folder: repo.at().folder_tag(path(folder)) for folder in ("", "d", "e")}
    assert [folder for folder in before if before[folder] != after[folder]] == ["", "d"]


def test_the_raw_walk_is_what_git_holds(repo: DataRepo) -> None:
    land(repo, {"a": "1", "d/t.md": b"text"})
    snapshot = repo.at()
    held = {at: (size, snapshot.read_blob(oid)) for at, size, oid in snapshot.raw_walk()}
    assert held["d/t.md"] == (4, b"text")
    assert {"a.dvc", ".dvc/config", ".cairn/dataset.yaml", "README.md"} <= set(held)
    assert all(size == len(content) for size, content in held.values())


def test_a_snapshot_stays_what_it_was(repo: DataRepo) -> None:
    """Promise D4: a pinned version answers the same for ever."""
    snapshot = repo.at()
    land(repo, {"a": "1", "README.md": None})
    upkeep.maintain(repo.git, timeout_s=60)
    assert names(snapshot) == ["README.md"]
    assert snapshot.read(path("README.md")) == b"# Cells\n"
    assert trees.tree_id(snapshot.tree_oid) == snapshot.commit.tree


def test_permanent_links_answer_the_same_after_every_operation(repo: DataRepo) -> None:
    """Promise D4, invariant 7: after move, revert, restore, tag change, branch deletion and upkeep."""
    side = RefName("side")
    first = land(repo, {"a": "1", "d/x": "1", "t.md": b"1"}).commit.id
    second = land(repo, {"a": "2", "d/y": "2", "t.md": None}).commit.id
    repo.create_branch(side, first)
    third = land(repo, {"s": "3"}, branch=side).commit.id
    links = {commit: files(repo, commit) for commit in (first, second, third)}
    moves = ChangeSet()
    moves.move(path("d"), path("e"))
    operations = [
        lambda: land(repo, moves),
        lambda: repo.revert(second, branch=MAIN, author=by(), message="x"),
        lambda: repo.restore(second, ROOT, branch=MAIN, author=by(), message="x"),
        lambda: repo.tag(RefName("v1"), third, author=by(), notes="x"),
        lambda: repo.delete_tag(RefName("v1")),
        lambda: repo.delete_branch(side),
        lambda: upkeep.maintain(repo.git, timeout_s=60),
        lambda: git(repo, "gc", "--quiet", "--prune=now"),
    ]
    for operation in operations:
        operation()
        assert {commit: files(repo, commit) for commit in links} == links
        assert {commit: files(open_repo(repo.git.path.parent), commit) for commit in links} == links
    assert upkeep.verify(repo.git, timeout_s=60) == []
