"""Pointers, folder manifests and lock files that a push brings, held against the dataset's ledger.

A pointer is not a capability: what it names must have been stored for this very dataset, and what it
says about the bytes must be what was computed from them.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from gitops import imports, layout, pointers
from gitops.errors import GitopsError, InvalidPointerError
from gitops.gitrepo import GitRepo
from gitops.imports import ImportSource
from gitops.model import Md5, Pointer
from gitops.push_limits import Budget, Refusals

_BATCH = 500
_POINTER = layout.POINTER_SUFFIX
_NOT_HERE = "the dataset does not hold the bytes"
MAX_PUSHED_MANIFEST = 64 * 1024 * 1024


class StoredFacts(Protocol):
    """What the ledger knows of an object: bytes, lowercase hexadecimal hashes."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def sha256(self) -> str:
        """Of the stored bytes."""
        ...

    @property
    def crc32(self) -> str:
        """Of the stored bytes."""
        ...

    @property
    def is_legacy(self) -> bool:
        """The address is the MD5 of the text with LF line ends (DVC 2)."""
        ...

    @property
    def damaged_at(self) -> object | None:
        """Set once the bytes were found to be wrong."""
        ...


class Ledger(Protocol):
    """The objects that one dataset holds."""

    def facts(self, addresses: Collection[Md5]) -> Mapping[Md5, StoredFacts]:
        """Return what is known of those addresses that the dataset holds."""
        ...

    def open(self, address: Md5) -> BinaryIO:
        """Return an object's bytes."""
        ...


class ImportCheck(Protocol):
    """Knows what a pusher may import; only a project, which holds no bytes of its own, has one."""

    def fault(self, source: ImportSource, pointer: Pointer) -> str | None:
        """Return why a pointer is not what its source holds at that commit and path, or None."""
        ...


@dataclass(frozen=True, slots=True)
class _Tracked:
    """One file that a DVC file names; ``path`` is where the DVC file says so."""

    path: str
    pointer: Pointer
    is_import: bool = False
    """Made by ``dvc import`` from another repository; DVC never pushes such bytes."""


class PointerCheck:
    """Holds pointers, manifests and lock files against the ledger, in batches."""

    def __init__(
        self,
        repo: GitRepo,
        ledger: Ledger | None,
        refusals: Refusals,
        budget: Budget,
        *,
        imports: ImportCheck | None = None,
    ) -> None:
        self._repo = repo
        self._ledger = ledger
        self._imports = imports
        self._refusals = refusals
        self._budget = budget
        self._texts: list[tuple[str, str]] = []
        self._tracked: list[_Tracked] = []
        self._good_manifests: set[tuple[Md5, int | None]] = set()

    def add(self, path: str, blob: str, size: int) -> None:
        """Take a ``.dvc`` file."""
        if size > pointers.MAX_POINTER_BYTES:
            self._refusals.add(path, f"a pointer may have at most {pointers.MAX_POINTER_BYTES} bytes")
            return
        self._texts.append((path, blob))
        if len(self._texts) >= _BATCH:
            self.flush()

    def add_lock(self, path: str, blob: str, size: int, folder: bytes) -> None:
        """Take a ``dvc.lock``; what lies beside it in git needs no bytes in the pool."""
        if size > pointers.MAX_LOCK_BYTES:
            self._refusals.add(path, f"dvc.lock may have at most {pointers.MAX_LOCK_BYTES} bytes")
            return
        pipeline = self._repo.read_folder(folder).nodes.get(layout.PIPELINE_FILE.encode())
        small = pipeline and pipeline.is_blob and self._repo.blob_size(pipeline.id) <= pointers.MAX_LOCK_BYTES
        text = self._repo.read(pipeline.id).content if pipeline and small else None
        try:
            for out in pointers.parse_lock(self._repo.read(blob).content, text):
                self._budget.spend(1)
                if not self._is_in_git(folder, out.path):
                    self._tracked.append(_Tracked(f"{path} ({out.path})", out.pointer))
        except InvalidPointerError as error:
            self._refusals.add(path, str(error))

    def flush(self) -> None:
        """Look at everything taken so far."""
        texts, self._texts = self._texts, []
        contents = self._repo.read_blobs([blob for _, blob in texts])
        for (path, _), text in zip(texts, contents, strict=True):
            try:
                self._take(path, text)
            except InvalidPointerError as error:
                self._refusals.add(path, f"broken pointer: {error}")
        tracked, self._tracked = self._tracked, []
        for start in range(0, len(tracked), _BATCH):
            self._compare(tracked[start : start + _BATCH])

    def _take(self, path: str, text: bytes) -> None:
        """Judge an import by its source where that is allowed, everything else by the ledger."""
        pointer = pointers.parse_single(text, path.rpartition("/")[2].removesuffix(_POINTER))
        is_import = b"rev_lock:" in text
        source = imports.find_source(text) if is_import and self._imports else None
        if source is None or self._imports is None:
            self._tracked.append(_Tracked(path, pointer, is_import=is_import))
            return
        self._budget.spend(1)
        reason = self._imports.fault(source, pointer)
        if reason:
            self._refusals.add(path, reason)

    def _is_in_git(self, folder: bytes, path: str) -> bool:
        """Tell whether git itself holds an output (``cache: false``), which then is not in the pool."""
        *parents, name = path.split("/")
        for parent in parents:
            node = self._repo.read_folder(folder).nodes.get(parent.encode())
            if node is None or not node.is_tree:
                return False
            folder = node.oid
        return name.encode() in self._repo.read_folder(folder).nodes

    def _compare(self, tracked: list[_Tracked]) -> None:
        if tracked and self._ledger is None:
            self._refusals.add(tracked[0].path, "the dataset has no storage site yet, so it can hold no data")
            return
        assert self._ledger is not None or not tracked
        held = self._ledger.facts({one.pointer.md5 for one in tracked}) if self._ledger else {}
        for one in tracked:
            reason = fault_of_pointer(one.pointer, held.get(one.pointer.md5))
            if reason and one.is_import and one.pointer.md5 not in held:
                reason = (
                    f"{_NOT_HERE} {one.pointer.md5}, and dvc push sends no imports: dvc get and dvc add it"
                )
            if reason is None and one.pointer.is_dir:
                reason = self._fault_of_manifest(one.pointer, held[one.pointer.md5])
            if reason:
                self._refusals.add(one.path, reason)

    def _fault_of_manifest(self, pointer: Pointer, facts: StoredFacts) -> str | None:
        if (pointer.md5, pointer.size) in self._good_manifests:
            return None
        if facts.size > MAX_PUSHED_MANIFEST:
            return f"the folder's manifest has more than {MAX_PUSHED_MANIFEST} bytes: track smaller folders"
        assert self._ledger is not None
        try:
            with self._ledger.open(pointer.md5) as stream:
                rows = pointers.parse_manifest(stream.read())
        except GitopsError as error:
            return str(error)
        self._budget.spend(len(rows))
        held = self._ledger.facts({row.md5 for row in rows})
        missing = [row.path for row in rows if row.md5 not in held or held[row.md5].damaged_at]
        if missing:
            return (
                f"the dataset does not hold the bytes of {len(missing)} of its {len(rows)} files, "
                f"for example {missing[0]!r}: run dvc push first"
            )
        size = sum(held[row.md5].size for row in rows)
        if pointer.size is not None and pointer.size != size:
            return f"it says size: {pointer.size}, but its files have {size} bytes"
        self._good_manifests.add((pointer.md5, pointer.size))
        return None


def fault_of_pointer(pointer: Pointer, facts: StoredFacts | None) -> str | None:
    """Return how a pointer contradicts what the dataset holds, or None. Pure."""
    if facts is None:
        return f"{_NOT_HERE} {pointer.md5}: run dvc push first"
    return next(_contradictions(pointer, facts), None)


def _contradictions(pointer: Pointer, facts: StoredFacts) -> Iterator[str]:
    md5, meta = pointer.md5, pointer.meta
    if facts.damaged_at:
        yield f"the stored bytes {md5} are damaged: run dvc push to send them again"
    if facts.is_legacy and not pointer.is_legacy:
        yield f"{md5} is what DVC 2 calls a text file: run dvc cache migrate --dvc-files, then dvc push"
    if pointer.is_dir:
        return
    if pointer.size is not None and pointer.size != facts.size:
        yield f"it says size: {pointer.size}, but the bytes {md5} have {facts.size}"
    if meta.sha256 and meta.sha256 != facts.sha256:
        yield f"its sha256 is not that of the bytes {md5}"
    if meta.crc32 and meta.crc32 != facts.crc32:
        yield f"its crc32 is not that of the bytes {md5}"
