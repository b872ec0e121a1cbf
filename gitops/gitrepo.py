"""One bare repository: objects, refs and history through libgit2. The only importer of pygit2."""

import errno
import fcntl
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pygit2
from pygit2.enums import ConfigLevel, ObjectType, Option, ReferenceFilter, SortMode

from gitops.commit_text import message_text, name_and_email, read_person
from gitops.errors import (
    GitopsError,
    IntegrityError,
    NotFoundError,
    RefExistsError,
    RefMovedError,
    RefNotFoundError,
    StorageFullError,
    UnavailableError,
)
from gitops.model import Branch, Commit, CommitId, RefName, Signature, Tag, TreeId, is_commit_id
from gitops.packs import PackWriter
from gitops.trees import Folder

HEADS = "refs/heads/"
TAGS = "refs/tags/"
KEPT = "refs/cairn/kept/"
"""Commits that were visible once stay readable by their id, whatever happens to their branch."""
RELEASES = "refs/cairn/releases/"
"""Release names that were given once, so that no name ever means two versions."""

_CONFIG: Mapping[str, str] = {
    "core.fsync": "objects,derived-metadata,reference",
    "core.fsyncMethod": "fsync",
    "core.symlinks": "false",
    "core.logAllRefUpdates": "always",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "receive.autogc": "false",
    "receive.fsckObjects": "true",
    "receive.denyNonFastForwards": "true",
    "receive.unpackLimit": "1",
    "receive.advertisePushOptions": "false",
    "fetch.fsckObjects": "true",
    "transfer.fsckObjects": "true",
    "transfer.hideRefs": "refs/cairn",
    "transfer.unpackLimit": "1",
    "uploadpack.allowFilter": "true",
    "uploadpack.allowAnySHA1InWant": "false",
    "http.getanyfile": "false",
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "http.followRedirects": "false",
}

GIT_ENVIRONMENT: Mapping[str, str] = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
    "HOME": os.devnull,
}
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# What libgit2 raises where a ref exists, moved, is locked, or lies below or above another one.
_REF_FAILURES = (pygit2.GitError, KeyError, ValueError, OSError)
_MAX_IDLE_HANDLES = 16
_LISTINGS = 8
WRITER_LOCK = "cairn.lock"
GENERATION = "cairn-generation"
"""Touched by upkeep that removes packs, so that handles on the old ones are let go."""


def prepare_libgit2() -> None:
    """Set libgit2's process-wide options; called once by the composition root.

    Its defaults cache no tree over 4 KB and no blob, sync nothing to disk, and read the configuration
    of whoever runs the process.
    """
    pygit2.option(Option.ENABLE_FSYNC_GITDIR, 1)
    pygit2.option(Option.SET_OWNER_VALIDATION, 0)
    pygit2.option(Option.SET_CACHE_OBJECT_LIMIT, int(ObjectType.TREE), 512 * 1024)
    pygit2.option(Option.SET_CACHE_OBJECT_LIMIT, int(ObjectType.BLOB), 4 * 1024)
    pygit2.option(Option.SET_CACHE_MAX_SIZE, 32 * 1024 * 1024)
    for level in (ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
        pygit2.option(Option.SET_SEARCH_PATH, int(level), "")


@dataclass(frozen=True, slots=True)
class GitFile:
    """An object of a kind and its bytes."""

    kind: str
    content: bytes


class GitRepo:
    """One bare repository. Safe to share between threads: each operation borrows a libgit2 handle.

    Args:
        path: the repository's folder.
        alternates: further object folders to read from (a push's quarantine).
    """

    def __init__(self, path: Path, *, alternates: Sequence[Path] = ()) -> None:
        self.path = path
        self._alternates = tuple(alternates)
        self._idle: deque[tuple[int, pygit2.Repository]] = deque()

    @classmethod
    def create(cls, path: Path, *, branch: RefName) -> "GitRepo":
        """Make an empty repository with our settings; an existing one is left as it is."""
        repo = pygit2.init_repository(str(path), bare=True, initial_head=branch)
        for key, value in _CONFIG.items():
            repo.config[key] = value
        return cls(path)

    # Handles

    @contextmanager
    def _handle(self) -> Iterator[pygit2.Repository]:
        generation = self._generation()
        handle = None
        while self._idle:
            try:
                made_at, candidate = self._idle.pop()
            except IndexError:
                break
            if made_at == generation:
                handle = candidate
                break
        if handle is None:
            handle = self._open()
        yield handle
        if len(self._idle) < _MAX_IDLE_HANDLES:
            self._idle.append((generation, handle))

    def _open(self) -> pygit2.Repository:
        try:
            handle = pygit2.Repository(str(self.path))
        except pygit2.GitError as error:
            raise IntegrityError("the dataset's repository cannot be opened") from error
        for folder in self._alternates:
            handle.odb.add_disk_alternate(str(folder))
        return handle

    def _generation(self) -> int:
        """Upkeep that removes packs touches a file, so that handles on the old packs are let go."""
        try:
            return (self.path / GENERATION).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    # Objects

    def read(self, oid: str) -> GitFile:
        """Return an object. Raises NotFoundError."""
        with self._handle() as handle:
            try:
                kind, content = handle.odb.read(oid)
            except KeyError as error:
                raise NotFoundError(f"the repository has no object {oid}") from error
        return GitFile(_KINDS[ObjectType(kind)], content)

    def read_blobs(self, oids: Sequence[str]) -> list[bytes]:
        """Return the contents of blobs in the order asked for."""
        with self._handle() as handle:
            read = handle.odb.read
            try:
                return [read(oid)[1] for oid in oids]
            except KeyError as error:
                raise IntegrityError(f"the repository lacks the blob {error}") from error

    def blob_size(self, oid: str) -> int:
        """Return a blob's length in bytes without reading it whole where git allows."""
        with self._handle() as handle:
            try:
                return int(handle.odb.read_header(oid)[1])
            except KeyError as error:
                raise NotFoundError(f"the repository has no blob {oid}") from error

    def find_kind(self, oid: str) -> str | None:
        """Return ``commit``, ``tree``, ``blob`` or ``tag``, or None for an id that nothing has."""
        with self._handle() as handle:
            try:
                return _KINDS[ObjectType(handle.odb.read_header(oid)[0])]
            except (KeyError, ValueError):
                return None

    def read_folder(self, oid: bytes) -> Folder:
        """Return a parsed tree. Raises IntegrityError if it is missing or no tree."""
        with self._handle() as handle:
            try:
                kind, content = handle.odb.read(oid.hex())
            except KeyError as error:
                raise IntegrityError(f"the repository lacks the tree {oid.hex()}") from error
        if ObjectType(kind) is not ObjectType.TREE:
            raise IntegrityError(f"{oid.hex()} is not a tree")
        return Folder(content)

    def read_commit(self, commit: str) -> Commit:
        """Return a commit. Raises RefNotFoundError."""
        with self._handle() as handle:
            return _commit(_lookup_commit(handle, commit))

    def write_pack(self, pack: PackWriter) -> None:
        """Make new objects durable. Raises StorageFullError where there is no room for them."""
        try:
            pack.write(self.path / "objects" / "pack")
        except OSError as error:
            if error.errno in _FULL:
                raise StorageFullError("the server has no room left for new versions") from error
            raise UnavailableError("the dataset's repository could not be written") from error

    # Refs

    def find_ref(self, full_name: str) -> CommitId | None:
        """Return the commit a full ref name (``refs/heads/main``) leads to, or None."""
        with self._handle() as handle:
            try:
                found = handle.lookup_reference(full_name)
            except (KeyError, ValueError):
                return None
            return _peeled(found)

    def find_target(self, full_name: str) -> str | None:
        """Return the id that a ref holds, which is that of the tag object where there is one, or None."""
        with self._handle() as handle:
            try:
                return str(handle.lookup_reference(full_name).resolve().target)
            except (KeyError, ValueError):
                return None

    def branch(self, name: RefName) -> CommitId | None:
        """Return a branch's head, or None."""
        return self.find_ref(HEADS + name)

    def abbreviated(self, prefix: str) -> list[CommitId]:
        """Return the commits whose ids begin so (none, one, or a proof of ambiguity)."""
        with self._handle() as handle:
            try:
                found = handle.expand_id(prefix)
            except KeyError:
                return []
            except ValueError:
                return [CommitId(oid) for oid in self._all_commits_with(prefix)]
            try:
                kind, _ = handle.odb.read_header(found)
            except KeyError:
                return []
            return [CommitId(str(found))] if ObjectType(kind) is ObjectType.COMMIT else []

    def _all_commits_with(self, prefix: str) -> list[str]:
        """Several objects share the prefix; only commits count."""
        with self._handle() as handle:
            return [
                str(oid)
                for oid in handle.odb
                if str(oid).startswith(prefix)
                and ObjectType(handle.odb.read_header(oid)[0]) is ObjectType.COMMIT
            ]

    def branches(self) -> list[Branch]:
        """Return all branches, sorted by name."""
        return [Branch(RefName(name), commit) for name, commit in self._refs(HEADS)]

    def tags(self) -> list[Tag]:
        """Return all tags, sorted by name; an annotated one carries its notes."""
        with self._handle() as handle:
            tags = []
            for reference in handle.references.iterator(ReferenceFilter.TAGS):
                commit = _peeled(reference)
                if commit is None:
                    continue
                tags.append(_tag(handle, RefName(reference.name.removeprefix(TAGS)), reference, commit))
        return sorted(tags, key=lambda tag: tag.name)

    def find_tag(self, name: RefName) -> Tag | None:
        """Return a tag or None."""
        with self._handle() as handle:
            try:
                reference = handle.lookup_reference(TAGS + name)
            except (KeyError, ValueError):
                return None
            commit = _peeled(reference)
            return _tag(handle, name, reference, commit) if commit else None

    def kept_heads(self) -> list[CommitId]:
        """Return the commits from which everything that was ever visible can be reached."""
        return [commit for prefix in (HEADS, TAGS, KEPT, RELEASES) for _, commit in self._refs(prefix)]

    def _refs(self, prefix: str) -> list[tuple[str, CommitId]]:
        """Return the refs below a prefix; listed anew where they were packed meanwhile.

        libgit2 reads the packed ones first, so one that is packed before its file is read would be missed.
        """
        for _ in range(_LISTINGS):
            packed = self._packed_state()
            with self._handle() as handle:
                names = [name for name in handle.references if name.startswith(prefix)]
            if packed == self._packed_state():
                break
        found = ((name.removeprefix(prefix), self.find_ref(name)) for name in names)
        return sorted((name, commit) for name, commit in found if commit)

    def _packed_state(self) -> tuple[int, int] | None:
        try:
            found = (self.path / "packed-refs").stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    def move_ref(self, full_name: str, new: CommitId, *, expected: CommitId | None) -> None:
        """Compare-and-swap a ref; ``expected`` None means it must not exist.

        Raises:
            RefMovedError: it is not where the caller last saw it.
        """
        with self._handle() as handle:
            try:
                if expected is None:
                    handle.references.create(full_name, pygit2.Oid(hex=new))
                    return
                reference = handle.lookup_reference(full_name)
                if str(reference.target) != expected:
                    raise RefMovedError(f"{full_name} moved", head=str(reference.target))
                reference.set_target(pygit2.Oid(hex=new))
            except _REF_FAILURES as error:
                raise _refused(error, RefMovedError(f"{full_name} moved or is being written")) from error

    def keep(self, commit: CommitId) -> None:
        """Make a commit and all before it reachable for ever, without a visible name."""
        with self._handle() as handle:
            handle.references.create(KEPT + commit, pygit2.Oid(hex=commit), force=True)

    def delete_ref(self, full_name: str) -> None:
        """Remove a branch or tag; its commits stay readable by id."""
        with self._handle() as handle:
            try:
                reference = handle.lookup_reference(full_name)
            except KeyError as error:
                raise RefNotFoundError(f"{full_name.split('/', 2)[-1]!r} does not exist") from error
            commit = _peeled(reference)
            try:
                if commit:
                    handle.references.create(KEPT + commit, pygit2.Oid(hex=commit), force=True)
                reference.delete()
            except _REF_FAILURES as error:
                raise _refused(
                    error, RefMovedError("the branch or tag is being written; try again")
                ) from error

    def create_release(self, name: RefName, commit: CommitId, tagger: Signature, notes: str) -> None:
        """Remember a name for ever, then write its annotated tag: a crash between keeps the name."""
        target = pygit2.Oid(hex=commit)
        with self._handle() as handle:
            try:
                handle.references.create(RELEASES + name, target, force=True)
                handle.create_tag(name, target, ObjectType.COMMIT, _signature(tagger), message_text(notes))
            except _REF_FAILURES as error:
                raise _refused(
                    error, RefExistsError(f"the tag {name!r}, or a part of its name, exists already")
                ) from error

    # History

    def log(self, start: CommitId) -> Iterator[Commit]:
        """Yield the commit and everything before it, newest first."""
        with self._handle() as handle:
            for found in handle.walk(pygit2.Oid(hex=start), SortMode.TOPOLOGICAL | SortMode.TIME):
                yield _commit(found)

    def new_commits(self, tips: Sequence[CommitId], *, limit: int) -> list[CommitId]:
        """Return the commits before ``tips`` that no ref leads to, parents first; at most ``limit``."""
        with self._handle() as handle:
            walker = handle.walk(None, SortMode.TOPOLOGICAL | SortMode.REVERSE)
            for tip in tips:
                walker.push(pygit2.Oid(hex=tip))
            for known in dict.fromkeys(self.kept_heads()):
                walker.hide(pygit2.Oid(hex=known))
            return [CommitId(str(found.id)) for found in islice(walker, limit)]

    def first_parents(self, start: CommitId) -> Iterator[Commit]:
        """Yield the commit and its first-parent line, newest first; nothing is read ahead."""
        commit = self.read_commit(start)
        while True:
            yield commit
            if not commit.parents:
                return
            commit = self.read_commit(commit.parents[0])

    def is_reachable(self, commit: CommitId, heads: Sequence[CommitId]) -> bool:
        """Tell whether a commit is one of the heads or before one of them."""
        if commit in heads:
            return True
        with self._handle() as handle:
            try:
                return any(handle.descendant_of(head, commit) for head in dict.fromkeys(heads))
            except (pygit2.GitError, KeyError, ValueError):
                return False

    # Locking

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the repository's writer lock, across threads and processes; readers never wait.

        One queue of writers is five times faster than spinning on compare-and-swap, which stays as
        the guard against writers that do not know the lock (git push).
        """
        descriptor = os.open(self.path / WRITER_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


_KINDS: Mapping[ObjectType, str] = {
    ObjectType.COMMIT: "commit",
    ObjectType.TREE: "tree",
    ObjectType.BLOB: "blob",
    ObjectType.TAG: "tag",
}


def _refused(error: Exception, otherwise: GitopsError) -> GitopsError:
    """Return what a failed write of a ref means; libgit2 tells a full disk in words only."""
    if any(os.strerror(number) in str(error) for number in _FULL):
        return StorageFullError("the server has no room left for new versions")
    return otherwise


def _signature(signature: Signature) -> pygit2.Signature:
    name, email = name_and_email(signature)
    return pygit2.Signature(name, email, max(0, int(signature.when.timestamp())), 0)


def _read_signature(found: pygit2.Signature) -> Signature:
    return read_person(found.raw_name, found.raw_email, found.time, found.offset)


def _commit(found: pygit2.Commit) -> Commit:
    return Commit(
        id=CommitId(str(found.id)),
        tree=TreeId(str(found.tree_id)),
        parents=tuple(CommitId(str(parent)) for parent in found.parent_ids),
        author=_read_signature(found.author),
        committer=_read_signature(found.committer),
        message=found.raw_message.decode(errors="replace").rstrip("\n"),
    )


def _lookup_commit(handle: pygit2.Repository, commit: str) -> pygit2.Commit:
    try:
        found = handle[commit] if is_commit_id(commit) else None
    except KeyError:
        found = None
    if not isinstance(found, pygit2.Commit):
        raise RefNotFoundError(f"there is no commit {commit}")
    return found


def _peeled(reference: pygit2.Reference) -> CommitId | None:
    try:
        return CommitId(str(reference.peel(pygit2.Commit).id))
    except (pygit2.GitError, KeyError, ValueError):
        return None


def _tag(handle: pygit2.Repository, name: RefName, reference: pygit2.Reference, commit: CommitId) -> Tag:
    found = handle.get(reference.target)
    if not isinstance(found, pygit2.Tag):
        return Tag(name, commit, notes=None, tagger=None)
    tagger = _read_signature(found.tagger) if found.tagger else None
    notes = (found.raw_message or b"").decode(errors="replace").rstrip("\n")
    return Tag(name, commit, notes=notes, tagger=tagger)
