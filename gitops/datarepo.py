"""The porcelain: a dataset's versions. Two verbs carry everything: ``at`` and ``commit``.

Every change lands through ``_land``: the new tree is drafted on the version that the caller saw,
merged path by path if the branch moved on meanwhile, made durable, and then the branch is moved by
compare-and-swap under the repository's lock.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gitops import layout, pointers, trees
from gitops.changes import ChangeSet, Merge
from gitops.drafting import Draft
from gitops.errors import (
    ConflictError,
    EditConflictError,
    InvalidPathError,
    InvalidPointerError,
    InvalidRefError,
    NothingToCommitError,
    PathClashError,
    PathNotFoundError,
    RefExistsError,
    RefMovedError,
    RefNotFoundError,
    ReleaseImmutableError,
)
from gitops.gitrepo import HEADS, RELEASES, TAGS, GitRepo, render_commit
from gitops.model import (
    ROOT,
    BlobId,
    Branch,
    Change,
    Commit,
    CommitId,
    Entry,
    EntryKind,
    RefName,
    RepoPath,
    Signature,
    Tag,
    TreeId,
    is_abbreviated_id,
    is_commit_id,
    split_dated_branch,
    split_version_range,
)
from gitops.objects import ObjectStore
from gitops.packs import PackWriter
from gitops.snapshot import ReadCaches, Snapshot
from gitops.version_numbers import newest, parse_version

_ATTEMPTS = 8
_NAMED = 5
_BACK_OFF_S = 0.02
MAX_PREVIEW = 10_000
LATEST = RefName("latest")
RESERVED_NAMES = frozenset({LATEST})

Build = Callable[[Commit, PackWriter], bytes | None]
"""(base commit, pack for new objects) -> id of the new root tree."""


@dataclass(frozen=True, slots=True)
class Landed:
    """A commit that a branch now leads to, and the version it followed."""

    commit: Commit
    parent: Commit


class DataRepo:
    """One dataset: its repository and its pool. Safe to share between threads.

    Args:
        git: the local bare repository.
        objects: the pool, or None while the dataset has no storage site.
        caches: what readings of immutable trees share in this process.
        default_branch: where refs default to.
    """

    def __init__(
        self, git: GitRepo, objects: ObjectStore | None, caches: ReadCaches, *, default_branch: RefName
    ) -> None:
        self.git = git
        self.objects = objects
        self.default_branch = default_branch
        self._caches = caches

    # Reading

    def at(self, ref: RefName | CommitId | None = None) -> Snapshot:
        """Return the dataset at a ref, frozen: the last time that a name matters.

        Raises:
            RefNotFoundError: no tag, branch or reachable commit is meant.
            InvalidRefError: an abbreviated id that several commits share.
        """
        return self.snapshot(self.resolve(ref or self.default_branch))

    def snapshot(self, commit: CommitId) -> Snapshot:
        """Return the dataset at a commit that is known to be one of its versions."""
        return Snapshot(self.git.read_commit(commit), self.git, self.objects, self._caches)

    def resolve(self, ref: RefName | CommitId) -> CommitId:
        """Return the commit a ref means: full id, tag, branch, abbreviated id, in this order."""
        if is_commit_id(ref):
            return self._visible(CommitId(ref))
        name = RefName(ref)
        found = self._computed(name) or self.git.find_ref(TAGS + name) or self.git.find_ref(HEADS + name)
        if found:
            return found
        if is_abbreviated_id(ref):
            matches = self.git.abbreviated(ref)
            if len(matches) > 1:
                raise InvalidRefError(f"{ref!r} abbreviates {len(matches)} commits; give more digits")
            if matches:
                return self._visible(matches[0])
        raise RefNotFoundError(f"there is no tag, branch or commit {ref!r}")

    def _computed(self, name: RefName) -> CommitId | None:
        """Return what ``latest``, ``~0.1`` and ``branch@{moment}`` mean; None for a plain name."""
        prefix = split_version_range(name)
        if name == LATEST or prefix is not None:
            tag = newest(self.git.tags(), prefix=prefix)
            if tag is None:
                raise RefNotFoundError(f"no tag with a version number matches {name!r}")
            return tag.commit
        dated = split_dated_branch(name)
        return self._before(*dated) if dated else None

    def _before(self, branch: RefName, moment: str) -> CommitId:
        when = _parse_moment(moment)
        head = self.git.branch(branch)
        if head is None:
            raise RefNotFoundError(f"there is no branch {branch!r}")
        for commit in self.git.first_parents(head):
            if commit.committer.when < when:
                return commit.id
        raise RefNotFoundError(f"the branch {branch!r} has no version before {moment}")

    def _visible(self, commit: CommitId) -> CommitId:
        """Refuse ids of objects that never were a version: a pack holds more than its branches show."""
        if self._caches.reachable.find((self.git.path, commit)):
            return commit
        self.git.read_commit(commit)
        if not self.git.is_reachable(commit, self.git.kept_heads()):
            raise RefNotFoundError(f"there is no commit {commit}")
        self._caches.reachable.keep((self.git.path, commit), value=True)
        return commit

    def log(self, start: CommitId, *, path: RepoPath = ROOT) -> Iterator[Commit]:
        """Yield versions, newest first; with a path only those that changed what lies there."""
        for commit in self.git.log(start):
            if path == ROOT or self._touched(commit, path):
                yield commit

    def _touched(self, commit: Commit, path: RepoPath) -> bool:
        mine = self._deciding(commit.tree, path)
        if not commit.parents:
            return any(mine)
        return all(
            mine != self._deciding(self.git.read_commit(parent).tree, path) for parent in commit.parents
        )

    def _deciding(self, tree: TreeId, path: RepoPath) -> tuple[trees.Node | None, ...]:
        """Return the nodes that decide what a path shows: its own, or the pointer of a tracked folder."""
        nodes = self._nodes_at(tree, path)
        while not any(nodes) and "/" in path:
            path = RepoPath(path.rpartition("/")[0])
            nodes = (None, self._nodes_at(tree, path)[1])
        return nodes

    def _nodes_at(self, tree: TreeId, path: RepoPath) -> tuple[trees.Node | None, ...]:
        """Return the nodes of a path: text or folder, and pointer."""
        folder: bytes | None = bytes.fromhex(tree)
        *parents, name = path.split("/")
        for segment in parents:
            node = self.git.read_folder(folder).nodes.get(segment.encode()) if folder else None
            folder = node.oid if node and node.is_tree else None
        if folder is None:
            return (None, None)
        nodes = self.git.read_folder(folder).nodes
        return (nodes.get(name.encode()), nodes.get(layout.pointer_path(name).encode()))

    def diff(self, old: CommitId | None, new: CommitId, *, folder: RepoPath = ROOT) -> Iterator[Change]:
        """Yield the files that differ, folder by folder; ``old`` None compares with nothing.

        Cost follows the change: equal folders are never read.
        """
        before = self.snapshot(old) if old else None
        after = self.snapshot(new)
        yield from self._diff_trees(
            before, after, before.tree_oid if before else None, after.tree_oid, folder
        )

    def _diff_trees(
        self, before: Snapshot | None, after: Snapshot, old: bytes | None, new: bytes | None, folder: RepoPath
    ) -> Iterator[Change]:
        prefix = ""
        for segment in folder.split("/") if folder else ():
            old, new = self._below(old, segment), self._below(new, segment)
            prefix += segment + "/"
        for where, files in trees.differences(old, new, self.git.read_folder, prefix):
            if not layout.is_hidden(where or "x"):
                yield from self._folder_changes(where, files, before, after)

    def _below(self, tree: bytes | None, segment: str) -> bytes | None:
        node = self.git.read_folder(tree).nodes.get(segment.encode()) if tree else None
        return node.oid if node and node.is_tree else None

    def _folder_changes(
        self,
        where: str,
        files: list[tuple[str, trees.Node | None, trees.Node | None]],
        before: Snapshot | None,
        after: Snapshot,
    ) -> Iterator[Change]:
        sides: dict[str, list[Entry | None]] = {}
        for raw, was, now in files:
            name = raw.removesuffix(layout.POINTER_SUFFIX) if len(raw) > len(layout.POINTER_SUFFIX) else raw
            if layout.is_hidden(where + name):
                continue
            slot = sides.setdefault(name, [None, None])
            for side, node in enumerate((was, now)):
                if node is not None:
                    slot[side] = self._file_entry(RepoPath(where + name), node, is_pointer=name != raw)
        for name in sorted(sides):
            one, two = sides[name]
            yield from self._expanded(Change(RepoPath(where + name), one, two), before, after)

    def _file_entry(self, path: RepoPath, node: trees.Node, *, is_pointer: bool) -> Entry:
        blob = BlobId(node.id)
        if not node.is_blob:
            return Entry(path, EntryKind.TEXT, problem="symbolic links and submodules are not followed")
        if not is_pointer:
            return Entry(path, EntryKind.TEXT, size=self.git.blob_size(blob), blob=blob)
        try:
            pointer = pointers.parse_single(self.git.read(blob).content, path.rpartition("/")[2])
        except InvalidPointerError as error:
            return Entry(path, EntryKind.DATA, blob=blob, problem=f"broken pointer: {error}")
        kind = EntryKind.FOLDER if pointer.is_dir else EntryKind.DATA
        return Entry(path, kind, size=pointer.size, pointer=pointer, blob=blob)

    def _expanded(self, change: Change, before: Snapshot | None, after: Snapshot) -> Iterator[Change]:
        """Replace a change of a folder that DVC tracks as one by the changes of its files."""
        sides: list[Mapping[RepoPath, Entry]] = []
        for entry, snapshot in ((change.before, before), (change.after, after)):
            if entry is None:
                sides.append({})
            elif entry.kind is EntryKind.FOLDER and entry.pointer and snapshot:
                try:
                    sides.append(snapshot.manifest_entries(change.path, entry.pointer))
                except PathNotFoundError:
                    sides.append({change.path: entry})
            else:
                sides.append({change.path: entry})
        was, now = sides
        for path in sorted(was.keys() | now.keys()):
            one, two = was.get(path), now.get(path)
            same = one and two and one.pointer and two.pointer and one.pointer.md5 == two.pointer.md5
            if path == change.path or not same:
                yield Change(path, one, two)

    def branches(self) -> list[Branch]:
        """Return all branches, sorted by name."""
        return self.git.branches()

    def tags(self) -> list[Tag]:
        """Return all tags, newest version number first, others after them by name."""
        numbered = [tag for tag in self.git.tags() if parse_version(tag.name)]
        numbered.sort(key=lambda tag: parse_version(tag.name) or (), reverse=True)
        return numbered + [tag for tag in self.git.tags() if not parse_version(tag.name)]

    def head(self, branch: RefName) -> CommitId:
        """Return a branch's newest version. Raises RefNotFoundError."""
        found = self.git.branch(branch)
        if found is None:
            raise RefNotFoundError(f"there is no branch {branch!r}")
        return found

    # Writing

    def start(self, files: Mapping[RepoPath, bytes], *, author: Signature, message: str) -> Commit:
        """Write the first commit of an empty dataset; an existing history is returned as it is."""
        with self.git.lock():
            head = self.git.branch(self.default_branch)
            if head:
                return self.git.read_commit(head)
            pack = PackWriter()
            patch = trees.Patch()
            for path, content in files.items():
                patch.set(path, trees.Node(trees.BLOB, pack.add("blob", content)))
            tree = trees.apply(None, patch, self._reader(pack), self._adder(pack))
            commit = self._write_commit(pack, tree, (), author, message)
            self.git.move_ref(HEADS + self.default_branch, commit.id, expected=None)
            self._caches.reachable.keep((self.git.path, commit.id), value=True)
            return commit

    def commit(
        self,
        changes: ChangeSet,
        *,
        branch: RefName,
        base: CommitId,
        author: Signature,
        message: str,
        only_on_base: bool = False,
    ) -> Landed:
        """Make one version of a change set drafted on ``base``.

        Args:
            changes: the edits.
            branch: the branch to move.
            base: the version that the caller saw.
            author: who did it and when.
            message: why.
            only_on_base: refuse if anything at all landed on the branch since ``base``.

        Raises:
            RefMovedError: ``only_on_base``, and the branch has moved on.
            EditConflictError: somebody changed the same paths since ``base``; it names them.
            NothingToCommitError: the branch would stay exactly as it is.
            PathNotFoundError, PathClashError: an edit does not fit the base.
        """
        merges = dict(changes.merges())
        build = self._drafting(changes)
        return self._land(
            build,
            branch=branch,
            base=base,
            author=author,
            message=message,
            merges=merges,
            only_on_base=only_on_base,
        )

    def revert(self, undone: CommitId, *, branch: RefName, author: Signature, message: str) -> Landed:
        """Take back what one version changed, by a new version.

        Raises:
            EditConflictError: later versions changed the same paths; it names them.
            NothingToCommitError: nothing of it is left to take back.
        """
        build = self._reverting(undone)
        return self._land(build, branch=branch, base=self.head(branch), author=author, message=message)

    def restore(
        self, source: CommitId, path: RepoPath, *, branch: RefName, author: Signature, message: str
    ) -> Landed:
        """Make a file, a folder or everything (``ROOT``) as it was at ``source``, by a new version."""
        build = self._restoring(source, path)
        return self._land(build, branch=branch, base=self.head(branch), author=author, message=message)

    def preview_revert(self, undone: CommitId, *, branch: RefName) -> list[Change]:
        """Return what ``revert`` would change, writing nothing. Raises like ``revert``.

        Past ``MAX_PREVIEW`` changes the rest is left out.
        """
        return self._preview(self._reverting(undone), branch)

    def preview_restore(self, source: CommitId, path: RepoPath, *, branch: RefName) -> list[Change]:
        """Return what ``restore`` would change, writing nothing. Raises like ``restore``."""
        return self._preview(self._restoring(source, path), branch)

    def _drafting(self, changes: ChangeSet) -> Build:
        def build(base: Commit, pack: PackWriter) -> bytes | None:
            draft = Draft(
                bytes.fromhex(base.tree), read=self._reader(pack), read_blob=self._read_blob, pack=pack
            )
            return draft.build(changes)

        return build

    def _reverting(self, undone: CommitId) -> Build:
        target = self.git.read_commit(undone)
        if not target.parents:
            raise InvalidRefError("the first version of a dataset cannot be reverted")
        parent = self.git.read_commit(target.parents[0])

        def build(base: Commit, pack: PackWriter) -> bytes | None:
            before = self._bound_like(target, parent, pack)
            return self._merge(target, bytes.fromhex(base.tree), before, pack, {})

        return build

    def _bound_like(self, model: Commit, commit: Commit, pack: PackWriter) -> bytes | None:
        """Return a version's tree with the identity and site of another: history never rebinds."""
        patch = trees.Patch()
        for path in layout.BINDING_PATHS:
            was, now = (self._nodes_at(one.tree, path)[0] for one in (model, commit))
            if was != now:
                patch.set(path, was)
        tree = bytes.fromhex(commit.tree)
        return trees.apply(tree, patch, self._reader(pack), self._adder(pack)) if patch else tree

    def _restoring(self, source: CommitId, path: RepoPath) -> Build:
        if path != ROOT and layout.is_binding(path):
            raise InvalidPathError(f"the path {path!r} is reserved", paths=[path])
        then = self.git.read_commit(source)

        def build(base: Commit, pack: PackWriter) -> bytes | None:
            patch = trees.Patch()
            if path == ROOT:
                self._take_everything(then, base, patch)
            else:
                was, now = self._nodes_at(then.tree, path), self._nodes_at(base.tree, path)
                if was == (None, None) and now == (None, None):
                    raise PathNotFoundError(f"there is no {path!r} in either version", paths=[path])
                for name, old, new in zip((path, layout.pointer_path(path)), was, now, strict=True):
                    if old != new:
                        patch.set(name, old)
                if was != (None, None):
                    self._check_room(base, path)
            return trees.apply(bytes.fromhex(base.tree), patch, self._reader(pack), self._adder(pack))

        return build

    def _take_everything(self, then: Commit, base: Commit, patch: trees.Patch) -> None:
        """Every name of the root but the dataset's own identity and its site."""
        was = self.git.read_folder(bytes.fromhex(then.tree)).nodes
        now = self.git.read_folder(bytes.fromhex(base.tree)).nodes
        for name in was.keys() | now.keys():
            shown = name.decode(errors="replace")
            if not layout.is_hidden(shown) and was.get(name) != now.get(name):
                patch.set(shown, was.get(name))

    def _check_room(self, base: Commit, path: RepoPath) -> None:
        """Refuse to bring a path back where a file or a name differing only in case has taken its place."""
        folder: bytes | None = bytes.fromhex(base.tree)
        walked = ""
        for segment in path.split("/"):
            if folder is None:
                return
            nodes = self.git.read_folder(folder).nodes
            names = {name.decode(errors="replace").removesuffix(layout.POINTER_SUFFIX) for name in nodes}
            twin = next(
                (one for one, two in trees.twins([segment, *(names - {segment})]) if two == segment), None
            )
            walked = f"{walked}/{segment}" if walked else segment
            node = nodes.get(segment.encode())
            is_file = segment in names and not (node and node.is_tree)
            if twin or (is_file and walked != path):
                raise PathClashError(f"{twin or walked!r} stands where {path!r} was", paths=[path])
            folder = node.oid if node and node.is_tree else None

    def _preview(self, build: Build, branch: RefName) -> list[Change]:
        head = self.git.read_commit(self.head(branch))
        pack = PackWriter()
        tree = build(head, pack)
        read = self._reader(pack)
        changes: list[Change] = []
        snapshot = self.snapshot(head.id)
        for where, files in trees.differences(bytes.fromhex(head.tree), tree, read):
            changes.extend(self._folder_changes(where, files, snapshot, snapshot))
            if len(changes) > MAX_PREVIEW:
                break
        if not changes:
            raise NothingToCommitError("nothing would change", head=head.id)
        return changes

    def _land(
        self,
        build: Build,
        *,
        branch: RefName,
        base: CommitId,
        author: Signature,
        message: str,
        merges: Mapping[RepoPath, Merge] | None = None,
        only_on_base: bool = False,
    ) -> Landed:
        saw = self.git.read_commit(base)
        with self.git.lock():
            for attempt in range(_ATTEMPTS):
                head = self.git.read_commit(self.head(branch))
                if only_on_base and head.id != base:
                    raise RefMovedError(f"the branch {branch!r} has moved on to {head.id}", head=head.id)
                pack = PackWriter()
                ours = build(saw, pack)
                tree = ours
                if head.tree != saw.tree:
                    tree = self._merge(saw, ours, bytes.fromhex(head.tree), pack, merges or {})
                if tree == bytes.fromhex(head.tree):
                    raise NothingToCommitError("nothing would change", head=head.id)
                commit = self._write_commit(pack, tree, (head.id,), author, message)
                try:
                    self.git.move_ref(HEADS + branch, commit.id, expected=head.id)
                except RefMovedError:
                    time.sleep(_BACK_OFF_S * attempt * random.random())  # noqa: S311 - jitter, not a secret
                    continue
                self._caches.reachable.keep((self.git.path, commit.id), value=True)
                return Landed(commit, head)
        raise RefMovedError(f"the branch {branch!r} kept moving; try again")

    def _merge(
        self,
        base: Commit,
        ours: bytes | None,
        theirs: bytes | None,
        pack: PackWriter,
        merges: Mapping[RepoPath, Merge],
    ) -> bytes | None:
        def join(
            path: str, one: trees.Node | None, mine: trees.Node | None, other: trees.Node | None
        ) -> trees.Node | None:
            merge = merges.get(RepoPath(path))
            if merge is None or mine is None:
                return None
            read = self._blob_reader(pack)
            texts = [read(node.oid) if node else None for node in (one, other)]
            merged = merge(texts[0], texts[1], read(mine.oid))
            return None if merged is None else trees.Node(trees.BLOB, pack.add("blob", merged))

        merging = trees.TreeMerge(self._reader(pack), self._adder(pack), join)
        try:
            return merging.merge(bytes.fromhex(base.tree), ours, theirs)
        except trees.MergeConflict as conflict:
            paths = sorted({path.removesuffix(layout.POINTER_SUFFIX) for path in conflict.paths})
            shown = ", ".join(repr(path) for path in paths[:_NAMED]) + (" …" if len(paths) > _NAMED else "")
            raise EditConflictError(f"changed by somebody else meanwhile: {shown}", paths=paths) from conflict

    def _write_commit(
        self,
        pack: PackWriter,
        tree: bytes | None,
        parents: tuple[CommitId, ...],
        author: Signature,
        message: str,
    ) -> Commit:
        oid = tree if tree is not None else pack.add("tree", b"")
        pack.leave_only(_new_below(oid, pack))
        content = render_commit(
            tree=TreeId(oid.hex()), parents=parents, author=author, committer=author, message=message
        )
        commit = pack.add("commit", content).hex()
        self.git.write_pack(pack)
        return self.git.read_commit(commit)

    def _reader(self, pack: PackWriter) -> trees.ReadFolder:
        def read(oid: bytes) -> trees.Folder:
            new = pack.find(oid)
            return trees.Folder(new) if new is not None else self.git.read_folder(oid)

        return read

    def _adder(self, pack: PackWriter) -> trees.WriteFolder:
        return lambda content: pack.add("tree", content)

    def _blob_reader(self, pack: PackWriter) -> Callable[[bytes], bytes]:
        def read(oid: bytes) -> bytes:
            new = pack.find(oid)
            return new if new is not None else self._read_blob(oid)

        return read

    def _read_blob(self, oid: bytes) -> bytes:
        return self.git.read(oid.hex()).content

    # Names

    def create_branch(self, name: RefName, commit: CommitId) -> Branch:
        """Start a branch at a version. Raises RefExistsError."""
        _refuse_reserved(name)
        with self.git.lock():
            if self.git.branch(name):
                raise RefExistsError(f"the branch {name!r} exists already")
            self._move_new(HEADS + name, commit)
        return Branch(name, commit)

    def delete_branch(self, name: RefName) -> None:
        """Remove a branch; its versions stay readable by their ids."""
        if name == self.default_branch:
            raise ConflictError(f"{name!r} is the default branch and cannot be deleted")
        with self.git.lock():
            self.git.delete_ref(HEADS + name)

    def tag(self, name: RefName, commit: CommitId, *, author: Signature, notes: str | None) -> Tag:
        """Name a version; with notes the tag is a release and its name is given for ever.

        Raises:
            RefExistsError: the tag exists.
            ReleaseImmutableError: a release of this name exists or existed for another version.
        """
        _refuse_reserved(name)
        with self.git.lock():
            existing = self.git.find_tag(name)
            released = self.git.find_ref(RELEASES + name)
            if released and released != commit:
                raise ReleaseImmutableError(f"{name!r} is a release and never moves", head=released)
            if existing:
                raise RefExistsError(f"the tag {name!r} exists already", head=existing.commit)
            if notes is not None:
                self.git.create_release(name, commit, author, notes)
            else:
                self._move_new(TAGS + name, commit)
        found = self.git.find_tag(name)
        assert found is not None
        return found

    def _move_new(self, full_name: str, commit: CommitId) -> None:
        try:
            self.git.move_ref(full_name, commit, expected=None)
        except RefMovedError as error:
            shown = full_name.split("/", 2)[-1]
            raise RefExistsError(f"{shown!r} exists already, or a part of it does") from error

    def delete_tag(self, name: RefName) -> None:
        """Remove a tag; the name of a release stays reserved for its version."""
        with self.git.lock():
            self.git.delete_ref(TAGS + name)


def _new_below(tree: bytes, pack: PackWriter) -> set[bytes]:
    """Return the new objects that a tree needs: a merge leaves drafts behind that nobody does."""
    raw = pack.find(tree)
    if raw is None:
        return set()
    needed = {tree}
    for mode, _, oid in trees.Folder(raw).rows:
        needed |= _new_below(oid, pack) if mode == trees.TREE else {oid}
    return needed


def _refuse_reserved(name: RefName) -> None:
    if name in RESERVED_NAMES:
        raise InvalidRefError(f"the name {name!r} has a meaning of its own")
    if is_commit_id(name):
        raise InvalidRefError("a name may not look like a commit id")


def _parse_moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidRefError(f"{text!r} is not a date such as 2026-03-01 or 2026-03-01T12:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
