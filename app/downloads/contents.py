"""The files of a version with trusted facts: data files from the ledger, text files from git itself."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import BinaryIO

from app.datasets.models import DatasetId, ObjectFacts
from app.datasets.pool import Pool
from app.datasets.service import OpenDataset
from app.downloads.models import File, FilesGoneError, Listed, Unreadable
from gitops.cache import MemoryCache
from gitops.errors import IntegrityError, ObjectNotFoundError
from gitops.model import BlobId, Digests, Entry, EntryKind, Md5, RepoPath, segment_fault
from gitops.objects import Hasher, digest
from gitops.snapshot import Snapshot

_BATCH = 1000
_CHUNK = 128 * 1024
# Longest content that is read whole and sent in one piece.
WHOLE = 256 * 1024
_KEPT_DIGESTS = 20_000
_KEPT_ENTRIES = 10_000
# A file's facts take about 450 bytes: 7 MB for the largest version that is remembered, 25 MB for all.
MOST_REMEMBERED = 16_384
_KEPT_FILES = 56_000
_DAMAGED = "its stored bytes are damaged"
_LOST = "the storage site has lost its bytes, or a part of them"

FolderKey = tuple[DatasetId, bytes, RepoPath]
"""(dataset, root tree, path): what lies there never changes."""


class FactMemory:
    """What one process remembers of immutable content: digests of text, files of whole versions; bounded.

    A file's facts follow from its version; whether its bytes can still be read never does, and is asked
    each time.
    """

    def __init__(self) -> None:
        self._texts: MemoryCache[BlobId, Digests] = MemoryCache(max_weight=_KEPT_DIGESTS)
        self._legacy: MemoryCache[str, str] = MemoryCache(max_weight=_KEPT_DIGESTS)
        self._entries: MemoryCache[FolderKey, Entry] = MemoryCache(max_weight=_KEPT_ENTRIES)
        self._folders: MemoryCache[FolderKey, tuple[File, ...]] = MemoryCache(
            max_weight=_KEPT_FILES, weigh=lambda files: len(files) + 1
        )

    def of_text(self, opened: OpenDataset, blob: BlobId) -> Digests:
        """Return the digests of what git holds under a blob id."""
        return self._texts.get_or_make(blob, lambda: digest(opened.repo.git.read(blob).content))

    def md5_of(self, pool: Pool, facts: ObjectFacts) -> str:
        """Return the MD5 of an object's bytes, which is its address unless DVC 2 made that."""
        if not facts.is_legacy:
            return facts.address
        return self._legacy.get_or_make(facts.sha256, lambda: _md5(pool, facts.address))

    def entry(self, opened: OpenDataset, snapshot: Snapshot, path: RepoPath) -> Entry:
        """Return what lies at a path; parsing the folders on the way costs more than all the rest.

        Raises:
            PathNotFoundError: nothing does.
        """
        key = (opened.dataset.id, snapshot.tree_oid, path)
        found = self._entries.find(key)
        if found is None:
            found = snapshot.entry(path)
            if not found.problem:
                self._entries.keep(key, found)
        return found

    def folder(self, key: FolderKey) -> tuple[File, ...] | None:
        """Return the files of a folder if they were all listed before."""
        return self._folders.find(key)

    def keep_folder(self, key: FolderKey, files: list[File]) -> None:
        """Remember the files of a folder, none left out."""
        self._folders.keep(key, tuple(files))


class Contents:
    """Files of one opened dataset. Memory does not grow with the dataset: facts come in batches."""

    def __init__(self, opened: OpenDataset, memory: FactMemory) -> None:
        self._opened = opened
        self._memory = memory
        self._checked_folder = ""
        self._folder_fault: str | None = None

    def below(self, snapshot: Snapshot, folder: RepoPath) -> Iterator[File | Unreadable]:
        """Yield everything below a folder of a version; small versions are looked up once.

        Raises:
            PathNotFoundError: nothing lies there.
            TakenError: a data file is among them and no storage site is bound.
        """
        key = (self._opened.dataset.id, snapshot.tree_oid, folder)
        known = self._memory.folder(key)
        if known is None:
            return self._remembering(key, self.files(entries_below(snapshot, folder)))
        return self._still_readable(known)

    def _still_readable(self, known: tuple[File, ...]) -> Iterator[File | Unreadable]:
        damaged = self._opened.found_pool.damaged() if self._opened.found_pool else frozenset()
        if not damaged:
            return iter(known)
        return (Unreadable(file.path, _DAMAGED) if file.address in damaged else file for file in known)

    def _remembering(self, key: FolderKey, files: Iterator[File | Unreadable]) -> Iterator[File | Unreadable]:
        kept: list[File] = []
        is_whole = True
        for file in files:
            if isinstance(file, Unreadable) or len(kept) >= MOST_REMEMBERED:
                is_whole = False
                kept.clear()
            elif is_whole:
                kept.append(file)
            yield file
        if is_whole:
            self._memory.keep_folder(key, kept)

    def files(self, entries: Iterable[Entry]) -> Iterator[File | Unreadable]:
        """Yield what each entry stands for, in their order."""
        for entry, facts in self._with_facts(entries, self._facts):
            yield self.file(entry, facts)

    def listed(self, snapshot: Snapshot, folder: RepoPath) -> Iterator[Listed]:
        """Yield a manifest's rows; those that cannot be read say what the pointer does, and why not."""
        known = self._memory.folder((self._opened.dataset.id, snapshot.tree_oid, folder))
        if known is not None:
            for file, now in zip(known, self._still_readable(known), strict=True):
                problem = now.reason if isinstance(now, Unreadable) else None
                yield Listed(file.path, file.size, file.md5, file.sha256, problem)
            return
        for entry, facts in self._with_facts(entries_below(snapshot, folder), self._facts_if_bound):
            found = self.file(entry, facts)
            if isinstance(found, File):
                yield Listed(found.path, found.size, found.md5, found.sha256)
            else:
                md5 = entry.pointer.md5 if entry.pointer else None
                yield Listed(entry.path, entry.size, md5, facts.sha256 if facts else None, found.reason)

    def _facts(self, addresses: set[Md5]) -> Mapping[Md5, ObjectFacts]:
        return self._opened.pool.facts(addresses)

    def _facts_if_bound(self, addresses: set[Md5]) -> Mapping[Md5, ObjectFacts]:
        return self._opened.pool.facts(addresses) if self._opened.found_pool else {}

    def _with_facts(
        self, entries: Iterable[Entry], find: Callable[[set[Md5]], Mapping[Md5, ObjectFacts]]
    ) -> Iterator[tuple[Entry, ObjectFacts | None]]:
        iterator = iter(entries)
        while batch := list(islice(iterator, _BATCH)):
            addresses = {e.pointer.md5 for e in batch if e.pointer and e.kind is EntryKind.DATA}
            facts = find(addresses) if addresses else {}
            for entry in batch:
                yield entry, facts.get(entry.pointer.md5) if entry.pointer else None

    def file(self, entry: Entry, facts: ObjectFacts | None) -> File | Unreadable:
        """Return what one entry stands for, given what the ledger says."""
        fault = entry.problem or self._fault_of_folder(entry.path.rpartition("/")[0])
        if fault:
            return Unreadable(entry.path, fault)
        if entry.kind is EntryKind.TEXT and entry.blob:
            found = self._memory.of_text(self._opened, entry.blob)
            return File(
                entry.path, found.size, found.md5, found.sha256, int(found.crc32, 16), blob=entry.blob
            )
        if entry.kind is not EntryKind.DATA or entry.pointer is None:
            return Unreadable(entry.path, "it is a folder whose files cannot be listed")
        return self._data_file(entry.path, entry.pointer.md5, facts)

    def _data_file(self, path: str, address: Md5, facts: ObjectFacts | None) -> File | Unreadable:
        if facts is None:
            return Unreadable(path, "its bytes were never stored for this dataset")
        if facts.damaged_at:
            return Unreadable(path, _DAMAGED)
        md5 = self._memory.md5_of(self._opened.pool, facts)
        return File(path, facts.size, md5, facts.sha256, int(facts.crc32, 16), address=address)

    def raw_files(self, rows: Iterable[tuple[str, bytes]]) -> Iterator[File | Unreadable]:
        """Yield the files that git itself holds, pointers among them: rows are (path, blob id)."""
        for path, oid in rows:
            fault = path_fault(path)
            if fault:
                yield Unreadable(path, fault)
                continue
            found = digest(self._opened.repo.git.read(oid.hex()).content)
            blob = BlobId(oid.hex())
            yield File(path, found.size, found.md5, found.sha256, int(found.crc32, 16), blob=blob)

    def stored(self, files: Iterable[File | Unreadable]) -> Iterator[File | Unreadable]:
        """Yield the same, but unreadable where a store on this machine has lost or cut an object."""
        for file in files:
            if isinstance(file, File) and file.address and not self._is_whole_here(file, file.address):
                yield Unreadable(file.path, _LOST)
            else:
                yield file

    def _is_whole_here(self, file: File, address: Md5) -> bool:
        """Tell whether the object is there whole, as far as that costs no request to another machine."""
        path = self._opened.pool.store.local_path(address)
        try:
            return path is None or path.stat().st_size == file.size
        except FileNotFoundError:
            return False

    def _fault_of_folder(self, folder: str) -> str | None:
        """Names above the last were not judged by the snapshot; entries of one folder come together."""
        if folder != self._checked_folder:
            self._checked_folder, self._folder_fault = folder, path_fault(folder)
        return self._folder_fault

    # Bytes

    def check(self, file: File) -> None:
        """Make sure that the store holds a file whole, without reading it. Raises FilesGoneError."""
        if file.address is None:
            return
        try:
            size = self._opened.pool.store.size(file.address)
        except ObjectNotFoundError as error:
            raise gone([Unreadable(file.path, _LOST)]) from error
        if size != file.size:
            raise gone([Unreadable(file.path, _LOST)])

    def open(self, file: File, start: int) -> BinaryIO:
        """Return a data file's bytes from ``start`` on.

        Raises:
            FilesGoneError: the store lacks them, or holds fewer or more.
        """
        assert file.address
        try:
            stream = self._opened.pool.store.open(file.address, start=start)
        except ObjectNotFoundError as error:
            raise gone([Unreadable(file.path, _LOST)]) from error
        if not self._is_whole_here(file, file.address):
            stream.close()
            raise gone([Unreadable(file.path, _LOST)])
        return stream

    def read(self, file: File, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes ``start <= position < stop`` of a file.

        Raises:
            IntegrityError: the store ends early, so the answer is cut off rather than wrong.
        """
        if file.blob:
            yield self._opened.repo.git.read(file.blob).content[start:stop]
            return
        assert file.address
        local = self._opened.pool.store.local_path(file.address)
        if local is None:
            with self._opened.pool.store.open(file.address, start=start) as stream:
                yield from pieces(stream, stop - start)
            return
        descriptor = os.open(local, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield from _descriptor_pieces(descriptor, start, stop)
        finally:
            os.close(descriptor)


def entries_below(snapshot: Snapshot, folder: RepoPath) -> Iterator[Entry]:
    """Yield a folder's files, or the one file that lies there. Raises PathNotFoundError."""
    entry = snapshot.entry(folder)
    return snapshot.walk(folder) if entry.kind is EntryKind.FOLDER else iter((entry,))


def readable(files: Iterable[File | Unreadable]) -> Iterator[File]:
    """Yield the files. Raises FilesGoneError, which names what cannot be read, at the first that is not."""
    iterator = iter(files)
    for file in iterator:
        if isinstance(file, Unreadable):
            others = (other for other in iterator if isinstance(other, Unreadable))
            raise gone([file, *islice(others, 99)])
        yield file


def gone(unreadable: list[Unreadable]) -> FilesGoneError:
    """Return the error that names paths whose bytes cannot be had."""
    first = unreadable[0]
    more = f" and {len(unreadable) - 1} more" if len(unreadable) > 1 else ""
    return FilesGoneError(
        f"{first.path!r}{more} cannot be read: {first.reason}; upload the right bytes again to heal it",
        [one.path for one in unreadable],
    )


def path_fault(path: str) -> str | None:
    """Return why a path would be dangerous to unpack, or None."""
    if not path:
        return None
    for segment in path.split("/"):
        fault = segment_fault(segment.removesuffix(".dvc") or segment)
        if fault:
            return fault
    return None


def pieces(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield exactly ``size`` bytes of a stream. Raises IntegrityError if it ends early."""
    while size > 0:
        chunk = stream.read(min(size, _CHUNK))
        if not chunk:
            raise IntegrityError("an object in the storage site is shorter than the ledger says")
        size -= len(chunk)
        yield chunk


def _descriptor_pieces(descriptor: int, start: int, stop: int) -> Iterator[bytes]:
    """Yield a range of a local file; a bare descriptor costs a third of a buffered file."""
    while start < stop:
        chunk = os.pread(descriptor, min(stop - start, _CHUNK), start)
        if not chunk:
            raise IntegrityError("an object in the storage site is shorter than the ledger says")
        start += len(chunk)
        yield chunk


def _md5(pool: Pool, address: Md5) -> str:
    hasher = Hasher()
    with pool.open(address) as stream:
        while chunk := stream.read(_CHUNK):
            hasher.update(chunk)
    return hasher.digests().md5
