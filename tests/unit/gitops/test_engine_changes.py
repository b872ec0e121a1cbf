"""Change sets: the last edit of a path wins, and nothing rebinds a dataset."""

import pytest

from gitops import layout
from gitops.changes import ChangeSet, MoveFrom, PutData, Remove, WriteText
from gitops.errors import InvalidPathError
from gitops.model import Md5, Pointer, RepoPath

A, B = RepoPath("a"), RepoPath("b")
POINTER = Pointer(Md5("0" * 32), 1)


def test_the_last_edit_of_a_path_wins() -> None:
    changes = ChangeSet()
    changes.put(A, POINTER)
    changes.write(B, b"")
    changes.remove(A)
    assert list(changes.edits.items()) == [(B, WriteText(b"")), (A, Remove())]


def test_a_move_is_a_removal_and_a_source() -> None:
    changes = ChangeSet()
    changes.move(A, B)
    assert dict(changes.edits) == {A: Remove(), B: MoveFrom(A)}
    assert len(changes) == 2


def test_only_texts_that_can_be_joined_are_named() -> None:
    changes = ChangeSet()
    changes.put(A, POINTER)
    changes.write(B, b"x")
    changes.write(RepoPath("c"), b"x", merge=max)
    assert list(changes.merges()) == [("c", max)]
    assert changes.edits[A] == PutData(POINTER)


@pytest.mark.parametrize("path", ["", ".dvc", ".dvc/config", ".DVC/config", ".cairn", ".cairn/dataset.yaml"])
@pytest.mark.parametrize("verb", ["put", "write", "remove", "move_from", "move_to"])
def test_a_change_set_cannot_touch_the_binding(path: str, verb: str) -> None:
    """Invariant 3: a dataset's site never changes; its record is reserved in ChangeSet."""
    changes, target = ChangeSet(), RepoPath(path)
    edits = {
        "put": lambda: changes.put(target, POINTER),
        "write": lambda: changes.write(target, b""),
        "remove": lambda: changes.remove(target),
        "move_from": lambda: changes.move(target, A),
        "move_to": lambda: changes.move(A, target),
    }
    with pytest.raises(InvalidPathError):
        edits[verb]()


def test_bind_writes_exactly_the_two_files_of_the_record() -> None:
    changes = ChangeSet()
    record = layout.DatasetRecord(1, "http://h/dvc/1", layout.SiteRecord(1, "s", "local", "/p"))
    changes.bind(record)
    assert {path: edit.content for path, edit in changes.edits.items() if isinstance(edit, WriteText)} == (
        layout.binding_files(record)
    )
