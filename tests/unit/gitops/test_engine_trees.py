"""Trees: patch, difference and three-way merge against a brute-force model of dicts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops import trees
from gitops.packs import object_id
from gitops.trees import BLOB, TREE, Folder, MergeConflict, Node, Patch, TreeMerge

Files = dict[str, str]
"""Path -> content; what a tree stands for."""


def node(content: str) -> Node:
    return Node(BLOB, hashlib.sha1(content.encode()).digest())


@dataclass
class Store:
    """Trees by id, and how many were read."""

    objects: dict[bytes, bytes] = field(default_factory=dict)
    reads: int = 0

    def read(self, oid: bytes) -> Folder:
        self.reads += 1
        return Folder(self.objects[oid])

    def write(self, content: bytes) -> bytes:
        oid = object_id("tree", content)
        self.objects[oid] = content
        return oid

    def tree(self, files: Mapping[str, str]) -> bytes | None:
        patch = Patch()
        for path, content in files.items():
            patch.set(path, node(content))
        return trees.apply(None, patch, self.read, self.write)

    def nodes(self, tree: bytes | None, prefix: str = "") -> dict[str, Node]:
        found: dict[str, Node] = {}
        for name, one in (self.read(tree).nodes if tree else {}).items():
            path = prefix + name.decode()
            found.update(self.nodes(one.oid, path + "/") if one.is_tree else {path: one})
        return found


def nodes_of(files: Mapping[str, str]) -> dict[str, Node]:
    return {path: node(content) for path, content in files.items()}


def _is_consistent(files: Mapping[str, str]) -> bool:
    """No path is a file and a folder at once."""
    return not any(other.startswith(path + "/") for path in files for other in files)


paths = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a", "d/e/b", "d.x", "d-", "d0", "f/a", "é/ü"])
some_files = st.dictionaries(paths, st.sampled_from("12"), max_size=8)
edits = st.dictionaries(paths, st.sampled_from(["1", "2", "3", ""]), max_size=4)


def edited(files: Files, changes: Mapping[str, str]) -> Files:
    return {path: content for path, content in {**files, **changes}.items() if content}


@given(some_files)
def test_a_built_tree_holds_its_files_in_git_s_order(files: Files) -> None:
    store = Store()
    tree = store.tree(files)
    assert store.nodes(tree) == nodes_of(files)
    for content in store.objects.values():
        keys = [name + b"/" if mode == TREE else name for mode, name, _ in Folder(content).rows]
        assert keys == sorted(keys)


@given(some_files, edits)
def test_a_patch_is_the_edit_of_a_dict(files: Files, changes: Files) -> None:
    store = Store()
    patch = Patch()
    for path, content in changes.items():
        patch.set(path, node(content) if content else None)
    patched = trees.apply(store.tree(files), patch, store.read, store.write)
    assert store.nodes(patched) == nodes_of(edited(files, changes))
    assert patched == store.tree(edited(files, changes))


def test_a_file_set_for_a_folder_replaces_it_whole() -> None:
    store = Store()
    patch = Patch()
    patch.set("d/x", node("9"))
    patch.set("d", node("1"))
    patched = trees.apply(store.tree({"d/a": "1", "d/b": "2"}), patch, store.read, store.write)
    assert store.nodes(patched) == nodes_of({"d": "1"})


@given(some_files, some_files)
def test_differences_are_those_of_two_dicts(old: Files, new: Files) -> None:
    store = Store()
    was, now = nodes_of(old), nodes_of(new)
    found = {
        folder + name: (before, after)
        for folder, files in trees.differences(store.tree(old), store.tree(new), store.read)
        for name, before, after in files
    }
    changed = {path for path in was | now if was.get(path) != now.get(path)}
    assert found == {path: (was.get(path), now.get(path)) for path in changed}


def test_differences_read_only_what_differs() -> None:
    store = Store()
    old = {f"d{number}/f": "1" for number in range(50)}
    one, two = store.tree(old), store.tree(old | {"d7/f": "2"})
    store.reads = 0
    assert len(list(trees.differences(one, two, store.read))) == 1
    assert store.reads == 4


def _conflicts(base: Files, ours: Files, theirs: Files) -> set[str]:
    """The definition of a conflict: both sides changed a path, and not to the same."""
    return {
        path
        for path in base | ours | theirs
        if len({base.get(path), ours.get(path), theirs.get(path)}) == len((base, ours, theirs))
    }


def _merged(base: Files, ours: Files, theirs: Files) -> Files:
    merged = {}
    for path in base | ours | theirs:
        one, two, three = base.get(path), ours.get(path), theirs.get(path)
        content = three if two == one else two
        if content:
            merged[path] = content
    return merged


@given(some_files, edits, edits)
def test_a_merge_is_the_merge_of_dicts(base: Files, mine: Files, other: Files) -> None:
    store = Store()
    ours, theirs = edited(base, mine), edited(base, other)
    merging = TreeMerge(store.read, store.write, lambda *_: None)
    expected = _conflicts(base, ours, theirs)
    try:
        merged = merging.merge(store.tree(base), store.tree(ours), store.tree(theirs))
    except MergeConflict as conflict:
        assert set(conflict.paths) == expected  # noqa: PT017 - a merge without conflict is fine too
        return
    assert not expected
    assert store.nodes(merged) == nodes_of(_merged(base, ours, theirs))
    assert merged == store.tree(_merged(base, ours, theirs))


clashing = st.sampled_from(["a", "a/x", "a/y", "a/x/z", "A", "a.dvc", "A/x", "b", "b.dvc/c"])
clashing_files = st.dictionaries(clashing, st.sampled_from("12"), max_size=4).filter(_is_consistent)


def _has_twins(files: Files) -> bool:
    folders: dict[str, set[str]] = {}
    for path in files:
        walked = ""
        for segment in path.split("/"):
            folders.setdefault(walked, set()).add(segment)
            walked += segment + "/"
    return any(
        len({name.removesuffix(".dvc").casefold() for name in names}) < len(names)
        for names in folders.values()
    )


@given(clashing_files, clashing_files, clashing_files)
def test_a_merge_of_sides_without_twins_has_none(base: Files, ours: Files, theirs: Files) -> None:
    sides = [files for files in (base, ours, theirs) if _has_twins(files)]
    store = Store()
    merging = TreeMerge(store.read, store.write, lambda *_: None)
    try:
        merged = merging.merge(store.tree(base), store.tree(ours), store.tree(theirs))
    except MergeConflict as conflict:
        assert conflict.paths  # noqa: PT017 - a merge without conflict is fine too
        return
    found = {path: one.id for path, one in store.nodes(merged).items()}
    assert sides or not _has_twins(found)


@pytest.mark.parametrize(
    ("mine", "other"),
    [("a/x", "A/y"), ("x", "X"), ("x.dvc", "x"), ("x.dvc", "X/y"), ("d/é", "d/É"), ("ss", "ß")],
)
def test_names_that_must_not_meet_conflict(mine: str, other: str) -> None:
    store = Store()
    merging = TreeMerge(store.read, store.write, lambda *_: None)
    base = {"keep": "1", "d/keep": "1"}
    with pytest.raises(MergeConflict):
        merging.merge(store.tree(base), store.tree(base | {mine: "1"}), store.tree(base | {other: "1"}))


def test_twins_that_were_there_before_stop_nobody() -> None:
    store = Store()
    merging = TreeMerge(store.read, store.write, lambda *_: None)
    base = {"a": "1", "A": "1", "x": "1", "x.dvc": "1"}
    merged = merging.merge(store.tree(base), store.tree(base | {"n": "1"}), store.tree(base | {"m": "1"}))
    assert store.nodes(merged) == nodes_of(base | {"n": "1", "m": "1"})


def test_a_name_that_is_not_utf_8_is_carried_through_a_merge() -> None:
    store = Store()
    base = {b"\xff": node("1"), b"a": node("1"), b"b": node("1")}
    sides = [base, base | {b"a": node("2")}, base | {b"b": node("2")}]
    merging = TreeMerge(store.read, store.write, lambda *_: None)
    merged = merging.merge(*(store.write(trees.build(side)) for side in sides))
    assert merged
    assert store.read(merged).nodes == {b"\xff": node("1"), b"a": node("2"), b"b": node("2")}


def test_a_merge_joins_through_the_callback() -> None:
    store = Store()
    asked = []

    def join(path: str, *sides: Node | None) -> Node:
        asked.append((path, *sides))
        return node("joined")

    merging = TreeMerge(store.read, store.write, join)
    merged = merging.merge(store.tree({"d/a": "1"}), store.tree({"d/a": "2"}), store.tree({"d/a": "3"}))
    assert asked == [("d/a", node("1"), node("2"), node("3"))]
    assert store.nodes(merged) == nodes_of({"d/a": "joined"})


def test_a_merge_reads_no_folder_that_only_one_side_changed() -> None:
    store = Store()
    base = {f"d{number}/f": "1" for number in range(50)}
    sides = [store.tree(files) for files in (base, base | {"d1/f": "2"}, base | {"d2/f": "2"})]
    store.reads = 0
    TreeMerge(store.read, store.write, lambda *_: None).merge(*sides)
    assert store.reads == 3


def test_differences_of_a_bottomless_folder_end() -> None:
    store = Store()
    tree = store.write(trees.build({b"f": node("1")}))
    for _ in range(10_000):
        tree = store.write(trees.build({b"d": Node(TREE, tree)}))
    assert list(trees.differences(None, tree, store.read)) == []


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["a", "A"], 1),
        (["a", "b"], 0),
        (["é", "É"], 1),
        (["e\u0301", "é"], 1),
        (["ß", "ss", "SS"], 2),
        (["ı", "i"], 0),
        ([], 0),
    ],
)
def test_twins_are_names_that_many_computers_cannot_hold_both(names: list[str], pairs: int) -> None:
    assert len(trees.twins(names)) == pairs
