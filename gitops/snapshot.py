"""A dataset at one commit: list, look up, read, walk, count. No method takes a ref.

What git holds (pointers, small text) and what DVC tracks in other ways (whole folders, pipeline
outputs) appear as one tree of files. Readers tolerate: what cannot be read is a row with a problem.
"""

from collections.abc import Iterator
from itertools import islice

from gitops import trees
from gitops.counting import MAX_WALK_DEPTH, Counter
from gitops.entries import EntryReader
from gitops.errors import IntegrityError, PathNotFoundError
from gitops.folders import Listing, ReadCaches
from gitops.gitrepo import GitRepo
from gitops.model import ROOT, Commit, Entry, EntryKind, Pointer, RepoPath, Totals
from gitops.objects import ObjectStore
from gitops.places import Place, Places

MAX_WALK_ENTRIES = 50_000_000
_BATCH = 1000


class Snapshot:
    """A dataset frozen at one commit. Cheap to make; safe to share between threads."""

    def __init__(self, commit: Commit, git: GitRepo, objects: ObjectStore | None, caches: ReadCaches) -> None:
        self.commit = commit
        self._caches = caches
        self._git = git
        self._places = Places(bytes.fromhex(commit.tree), git, objects, caches)
        self._reader = EntryReader(git, objects, self._places)
        self._counter = Counter(self._places, self._reader, caches.totals)

    # Looking up

    def entry(self, path: RepoPath) -> Entry:
        """Return what lies at a path.

        Raises:
            PathNotFoundError: nothing does.
        """
        if path == ROOT:
            return Entry(ROOT, EntryKind.FOLDER)
        parent, _, name = path.rpartition("/")
        place = self._places.locate(RepoPath(parent))
        found = self._reader.find(place, RepoPath(parent), name)
        if found is None:
            raise PathNotFoundError(f"there is no {path!r} in this version", paths=[path])
        return found

    def list(self, folder: RepoPath, *, after: str = "", limit: int = 1000) -> Listing:
        """Return up to ``limit`` rows of a folder whose names come after ``after``, sorted by name."""
        place = self._places.locate(folder)
        if place.tree is None or place.virtual:
            return self._read_page(place, folder, after, limit)
        key = (place.tree, folder, after, limit)
        found = self._caches.pages.find(key)
        if found is None:
            found = self._read_page(place, folder, after, limit)
            # A size that the pointer does not say was asked of the pool, which may learn it later.
            if all(entry.size is not None or entry.kind is EntryKind.FOLDER for entry in found.entries):
                self._caches.pages.keep(key, found)
        return found

    def _read_page(self, place: Place, folder: RepoPath, after: str, limit: int) -> Listing:
        rows = self._reader.page(place, folder, after, limit + 1)
        more = len(rows) > limit
        rows = rows[:limit]
        entries = tuple(self._reader.entries(folder, rows))
        return Listing(entries, next_after=rows[-1][0] if more else None)

    def walk(self, folder: RepoPath = ROOT, *, after: RepoPath = ROOT) -> Iterator[Entry]:
        """Yield every file below a folder in path order, segment by segment, past ``after``.

        Memory holds one page of each folder on the way down, never the dataset.
        """
        tail = tuple(after.split("/")) if after else ()
        below = tuple(folder.split("/")) if folder else ()
        resume = tail[len(below) :] if tail[: len(below)] == below else ()
        yield from islice(
            self._walk(self._places.locate(folder), folder, resume, len(below)), MAX_WALK_ENTRIES
        )

    def read(self, path: RepoPath) -> bytes:
        """Return a text file's content.

        Raises:
            PathNotFoundError: no text file lies there.
        """
        found = self.entry(path)
        if found.kind is not EntryKind.TEXT or found.blob is None:
            raise PathNotFoundError(f"{path!r} is not a text file in this version", paths=[path])
        return self._git.read(found.blob).content

    def read_raw(self, path: RepoPath) -> bytes | None:
        """Return what git itself holds at a path, reserved files included, or None."""
        node = self._node(path)
        return self._git.read(node.id).content if node and node.is_blob else None

    def raw_walk(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield (path, size, blob id) of every file that git holds: the repository with its pointers."""
        yield from self._raw_walk(self.tree_oid, "", 0)

    def read_blob(self, oid: bytes) -> bytes:
        """Return a blob's content by id."""
        return self._git.read(oid.hex()).content

    @property
    def tree_oid(self) -> bytes:
        """The id of the root tree (20 bytes)."""
        return bytes.fromhex(self.commit.tree)

    def folder_tag(self, folder: RepoPath) -> str:
        """Return a text that changes whenever a folder's listing may: for an ETag."""
        place = self._places.locate(folder)
        if place.virtual or place.tree is None:
            return f"{self.commit.tree}-{len(folder)}"
        return place.tree.hex()

    def totals(self, folder: RepoPath = ROOT) -> Totals:
        """Return files and bytes below a folder; folders counted once are never read again."""
        return self._counter.totals(self._places.locate(folder), is_root=folder == ROOT)

    def _node(self, path: RepoPath) -> trees.Node | None:
        node = trees.Node(trees.TREE, self.tree_oid)
        for segment in path.split("/"):
            if not node.is_tree:
                return None
            found = self._places.git_folder(node.oid).get(segment.encode())
            if found is None:
                return None
            node = found
        return node

    # Walking

    def _walk(self, place: Place, folder: RepoPath, resume: tuple[str, ...], depth: int) -> Iterator[Entry]:
        if depth > MAX_WALK_DEPTH:
            yield Entry(folder, EntryKind.FOLDER, problem=f"nested deeper than {MAX_WALK_DEPTH} folders")
            return
        if resume:
            inner = self._places.descend(place, resume[0])
            if inner and len(resume) > 1:
                below = RepoPath(f"{folder}/{resume[0]}" if folder else resume[0])
                yield from self._walk(inner, below, resume[1:], depth + 1)
        after = resume[0] if resume else ""
        while True:
            rows = self._reader.page(place, folder, after, _BATCH)
            for entry in self._reader.entries(folder, rows):
                if entry.kind is not EntryKind.FOLDER:
                    yield entry
                    continue
                inner = self._descend_or_none(place, entry.name)
                if inner is None:
                    yield entry
                else:
                    yield from self._walk(inner, entry.path, (), depth + 1)
            if len(rows) < _BATCH:
                return
            after = rows[-1][0]

    def _descend_or_none(self, place: Place, name: str) -> Place | None:
        try:
            return self._places.descend(place, name)
        except PathNotFoundError:
            return None

    def _raw_walk(self, tree: bytes, prefix: str, depth: int) -> Iterator[tuple[str, int, bytes]]:
        if depth > MAX_WALK_DEPTH:
            raise IntegrityError(f"{prefix[:80]!r}… is nested deeper than {MAX_WALK_DEPTH} folders")
        for mode, name, oid in self._git.read_folder(tree).rows:
            path = prefix + name.decode(errors="replace")
            if mode == trees.TREE:
                yield from self._raw_walk(oid, path + "/", depth + 1)
            elif mode in (trees.BLOB, trees.EXECUTABLE):
                yield path, self._git.blob_size(oid.hex()), oid

    # Other views of a pointer

    def manifest_entries(self, path: RepoPath, pointer: Pointer) -> dict[RepoPath, Entry]:
        """Return the files of a folder that DVC tracks as one, by path."""
        folder = self._places.manifest(pointer)
        rows = ((RepoPath(f"{path}/{name}"), found) for name, found in folder.pointers())
        return {below: self._reader.tracked_entry(below, found) for below, found in rows}
