"""Folders of a version wherever they come from: git trees, manifests of tracked folders, pipeline outputs."""

from dataclasses import dataclass

from gitops import layout, pointers, trees
from gitops.errors import InvalidPointerError, ObjectNotFoundError, PathNotFoundError
from gitops.folders import POINTER, FolderIndex, Nodes, ReadCaches, index_of
from gitops.gitrepo import GitRepo
from gitops.model import ROOT, Pointer, RepoPath
from gitops.objects import ObjectStore
from gitops.tracked import VirtualFolder

_RECENT_FOLDERS = 8


@dataclass(frozen=True, slots=True)
class Place:
    """A folder: its git tree, if git has one, and the virtual folders laid over it."""

    tree: bytes | None
    virtual: tuple[VirtualFolder, ...] = ()


class Places:
    """Finds the folders below one root tree."""

    def __init__(self, root: bytes, git: GitRepo, objects: ObjectStore | None, caches: ReadCaches) -> None:
        self._root = root
        self._git = git
        self._objects = objects
        self._caches = caches
        self._recent: dict[bytes, Nodes] = {}

    def locate(self, folder: RepoPath) -> Place:
        """Return a folder. Raises PathNotFoundError."""
        place = self._with_lock(Place(self._root))
        if folder == ROOT:
            return place
        walked = ""
        for segment in folder.split("/"):
            inner = self.descend(place, segment)
            walked = f"{walked}/{segment}" if walked else segment
            if inner is None:
                raise PathNotFoundError(f"there is no folder {walked!r} in this version", paths=[walked])
            place = inner
        return place

    def descend(self, place: Place, segment: str) -> Place | None:
        """Return a folder inside a folder, or None. Raises PathNotFoundError for an unreadable manifest."""
        tree: bytes | None = None
        virtual: list[VirtualFolder] = []
        for over in place.virtual:
            if segment in over.folders:
                virtual.append(over.folders[segment])
            tracked = over.files.get(segment)
            if tracked and tracked.is_dir:
                virtual.append(self.manifest(tracked))
        if place.tree is not None:
            nodes = self.git_folder(place.tree)
            node = nodes.get(segment.encode())
            if node and node.is_tree:
                tree = node.oid
            pointer_node = nodes.get(segment.encode() + POINTER)
            if pointer_node and pointer_node.is_blob and not tree:
                pointer = self._pointer(pointer_node, segment)
                if pointer and pointer.is_dir:
                    virtual.append(self.manifest(pointer))
        if tree is None and not virtual:
            return None
        return self._with_lock(Place(tree, tuple(virtual)))

    def _with_lock(self, place: Place) -> Place:
        """Lay the outputs of a ``dvc.lock`` in this folder over it."""
        if place.tree is None or not self.index(place.tree).has_lock:
            return place
        lock = self.lock_outputs(place.tree)
        return Place(place.tree, (*place.virtual, lock)) if lock else place

    def lock_outputs(self, tree: bytes) -> VirtualFolder | None:
        """Return what the ``dvc.lock`` in a tree tracks, or None if there is none."""
        key = f"lock-{tree.hex()}"
        found = self._caches.virtual.find(key)
        if found is not None:
            return found
        nodes = self.git_folder(tree)
        lock, pipeline = nodes.get(layout.LOCK_FILE.encode()), nodes.get(layout.PIPELINE_FILE.encode())
        if lock is None or not lock.is_blob:
            return None
        text = self._git.read(pipeline.id).content if pipeline and pipeline.is_blob else None
        try:
            folder = VirtualFolder.from_outs(pointers.parse_lock(self._git.read(lock.id).content, text))
        except InvalidPointerError:
            folder = VirtualFolder()
        self._caches.virtual.keep(key, folder)
        return folder

    def manifest(self, pointer: Pointer) -> VirtualFolder:
        """Return the files of a folder that DVC tracks as one.

        The pool is asked each time: what another dataset's manifest says is not this one's to show.

        Raises:
            PathNotFoundError: this dataset's pool does not hold the manifest, or it is broken.
        """
        try:
            return self._loaded(pointer)
        except (ObjectNotFoundError, InvalidPointerError) as error:
            raise PathNotFoundError(f"the folder's manifest cannot be read: {error}") from error

    def find_manifest(self, pointer: Pointer) -> VirtualFolder | None:
        """Return the files of a folder that DVC tracks as one, or None if they cannot be read."""
        try:
            return self.manifest(pointer)
        except PathNotFoundError:
            return None

    def _loaded(self, pointer: Pointer) -> VirtualFolder:
        objects = self._objects
        if objects is None:
            raise ObjectNotFoundError("the dataset has no storage site yet")
        if objects.size(pointer.md5) > pointers.MAX_MANIFEST_BYTES:
            raise InvalidPointerError("the folder's manifest is too large")

        def load() -> VirtualFolder:
            with objects.open(pointer.md5) as stream:
                rows = pointers.parse_manifest(stream.read())
            return VirtualFolder.from_manifest(rows, is_legacy=pointer.is_legacy)

        return self._caches.virtual.get_or_make(f"dir-{pointer.md5}-{pointer.is_legacy}", load)

    def git_folder(self, tree: bytes) -> Nodes:
        """Return a folder's nodes; the last few are kept, for those who look up one path after another."""
        found = self._recent.get(tree)
        if found is None:
            found = Nodes(self._git.read_folder(tree))
            if len(self._recent) >= _RECENT_FOLDERS:
                self._recent = {}
            self._recent[tree] = found
        return found

    def index(self, tree: bytes) -> FolderIndex:
        """Return a tree's rows as users see them."""
        return self._caches.indexes.get_or_make(tree, lambda: index_of(self._git.read_folder(tree)))

    def _pointer(self, node: trees.Node, name: str) -> Pointer | None:
        try:
            return pointers.parse_single(self._git.read(node.id).content, name)
        except InvalidPointerError:
            return None
