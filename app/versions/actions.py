"""Several actions as one change set, each judged against what the ones before it left."""

from collections import Counter
from collections.abc import Mapping, Sequence

from app.datasets.models import ObjectFacts
from app.datasets.service import OpenDataset
from app.errors import BadRequestError, TakenError
from app.versions.intake import Incoming, put_object, take
from app.versions.models import ActionKind, FileAction
from gitops import layout
from gitops.changes import ChangeSet, Edit, MoveFrom, PutData, WriteText
from gitops.errors import PathNotFoundError
from gitops.model import EntryKind, Md5, RepoPath
from gitops.snapshot import Snapshot


class ActionPlan:
    """What a commit's actions make of a version.

    Cost follows the actions: each looks at its own paths and at the folders above them.
    """

    def __init__(self, opened: OpenDataset, snapshot: Snapshot, facts: Mapping[Md5, ObjectFacts]) -> None:
        self._opened = opened
        self._snapshot = snapshot
        self._facts = facts
        self._placed: dict[RepoPath, Edit] = {}
        self._removed: set[RepoPath] = set()
        self._filled: Counter[str] = Counter()

    def changes(self, actions: Sequence[FileAction]) -> ChangeSet:
        """Return the change set that all actions together are.

        Raises:
            PathNotFoundError: an action updates, deletes or moves what is not there.
            TakenError: an action creates or moves to what is there.
        """
        for action in actions:
            self._apply(action)
        changes = ChangeSet()
        for path in sorted(self._removed):
            changes.remove(path)
        for path, edit in self._placed.items():
            _put(changes, path, edit)
        return changes

    def _apply(self, action: FileAction) -> None:
        path = layout.check_writable(action.path)
        self._refuse_moved(path)
        if action.kind is ActionKind.DELETE:
            self._delete(path)
            return
        found = self._kind(path)
        if action.kind is ActionKind.UPDATE:
            if found is None or found is EntryKind.FOLDER:
                raise PathNotFoundError(f"there is no file {path!r} to update", paths=[path])
        elif found is not None:
            hint = "use the action 'update'" if action.kind is ActionKind.CREATE else "delete it before"
            raise TakenError(f"{path!r} exists already; {hint}", code="file_exists")
        if action.kind is ActionKind.MOVE:
            self._move(action.previous, path)
        self._fill(action, path)

    def _fill(self, action: FileAction, path: RepoPath) -> None:
        """Give a path its content, sent inline or by address."""
        one = ChangeSet()
        if action.content is not None:
            take(self._opened, one, Incoming(path, [action.content], len(action.content)))
        elif action.md5 is not None:
            put_object(one, self._opened.pool, path, self._facts[action.md5])
        elif action.kind is ActionKind.MOVE:
            return
        else:
            raise BadRequestError(f"{action.kind} {path!r} needs 'content', or 'md5' of bytes sent before")
        self._place(path, one.edits[path])

    def _delete(self, path: RepoPath) -> None:
        if self._kind(path) is None:
            raise PathNotFoundError(f"there is no {path!r} to delete", paths=[path])
        gone = [path] if path in self._placed else []
        if self._filled[path]:
            gone += [one for one in self._placed if one.startswith(path + "/")]
        for one in gone:
            self._unplace(one)
        if self._base_kind(path) is not None:
            self._removed.add(path)

    def _move(self, previous: RepoPath | None, path: RepoPath) -> None:
        if previous is None:
            raise BadRequestError(f"moving to {path!r} needs 'previous_path'")
        source = layout.check_writable(previous)
        self._refuse_moved(source)
        if self._kind(source) is None:
            raise PathNotFoundError(f"there is no {source!r} to move", paths=[source])
        if self._filled[source]:
            raise BadRequestError(f"this commit changes files in {source!r}; move it in another commit")
        edit = self._placed.get(source)
        if edit is not None:
            self._unplace(source)
        if self._base_kind(source) is not None:
            self._removed.add(source)
        self._place(path, edit or MoveFrom(source))

    # What the actions so far have left

    def _kind(self, path: RepoPath) -> EntryKind | None:
        """Return what lies at a path now; TEXT and DATA both mean a file."""
        edit = self._placed.get(path)
        if edit is not None:
            return self._base_kind(edit.source) if isinstance(edit, MoveFrom) else EntryKind.DATA
        if self._filled[path]:
            return EntryKind.FOLDER
        return None if self._is_removed(path) else self._base_kind(path)

    def _base_kind(self, path: RepoPath) -> EntryKind | None:
        try:
            return self._snapshot.entry(path).kind
        except PathNotFoundError:
            return None

    def _is_removed(self, path: str) -> bool:
        return any(one in self._removed for one in (path, *_above(path)))

    def _refuse_moved(self, path: RepoPath) -> None:
        for above in _above(path):
            if isinstance(self._placed.get(RepoPath(above)), MoveFrom):
                raise BadRequestError(f"this commit moves {above!r}; change {path!r} in another commit")

    def _place(self, path: RepoPath, edit: Edit) -> None:
        if path not in self._placed:
            self._filled.update(_above(path))
        self._placed[path] = edit

    def _unplace(self, path: RepoPath) -> None:
        del self._placed[path]
        self._filled.subtract(_above(path))


def _put(changes: ChangeSet, path: RepoPath, edit: Edit) -> None:
    if isinstance(edit, PutData):
        changes.put(path, edit.pointer)
    elif isinstance(edit, WriteText):
        changes.write(path, edit.content)
    elif isinstance(edit, MoveFrom):
        changes.copy(edit.source, path)


def _above(path: str) -> list[str]:
    """Return the folders above a path, the nearest first."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]
