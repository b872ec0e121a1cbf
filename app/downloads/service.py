"""Downloads: one file, a manifest or an archive of a dataset, all pinned to one commit."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from app.access import Action, Actor
from app.datasets.models import ObjectFacts
from app.datasets.service import DatasetService, OpenDataset
from app.downloads.archives import Archive, Format
from app.downloads.contents import WHOLE, Contents, FactMemory, entries_below, gone, pieces, readable
from app.downloads.models import (
    ArchiveContent,
    ArchiveKind,
    File,
    Listed,
    Selection,
    Unreadable,
    archive_name,
    archive_tag,
    checksum_line,
    is_below,
    short_hash,
)
from app.downloads.streams import Replay, chunks
from app.downloads.tars import TarFormat
from app.downloads.zips import ZipFormat
from app.errors import BadRequestError
from gitops import layout, trees
from gitops.model import (
    CommitId,
    Digests,
    Entry,
    EntryKind,
    Md5,
    RepoPath,
    is_commit_id,
    parse_path,
    parse_ref,
)
from gitops.snapshot import Snapshot

_FORMATS: dict[ArchiveKind, Callable[[datetime], Format]] = {
    ArchiveKind.ZIP: ZipFormat,
    ArchiveKind.TAR: TarFormat,
}
_SIGNED_S = 300
_DVC_FOLDER = ".dvc/"


@dataclass(frozen=True, slots=True)
class Pinned:
    """A dataset at one commit, opened for one actor.

    Attributes:
        ref: as typed, or the default branch.
        is_pinned: the ref is a full commit id, so every answer about it holds for ever.
    """

    opened: OpenDataset
    snapshot: Snapshot
    ref: str
    is_pinned: bool

    @property
    def commit(self) -> CommitId:
        """The full id that the ref resolved to."""
        return self.snapshot.commit.id

    @property
    def is_public(self) -> bool:
        """Everybody may read it."""
        return self.opened.is_public


@dataclass(frozen=True, slots=True)
class FileDownload:
    """One file at one commit, known to be servable as far as the ledger says."""

    at: Pinned
    file: File
    name: str
    _contents: Contents

    def signed_url(self, media_type: str) -> str | None:
        """Return a short-lived address at the storage site, or None if it cannot sign."""
        if self.file.address is None:
            return None
        return self.at.opened.pool.store.presign_get(
            self.file.address, filename=self.name, media_type=media_type, seconds=_SIGNED_S
        )

    def local_path(self) -> Path | None:
        """Return where its bytes lie on this machine, for a web server that sends files itself."""
        return self.at.opened.pool.store.local_path(self.file.address) if self.file.address else None

    def check(self) -> None:
        """Make sure that the store holds it, without reading it. Raises FilesGoneError."""
        self._contents.check(self.file)

    def read(self, start: int, stop: int) -> Iterable[bytes]:
        """Return the bytes between; all that can be checked is checked before this returns.

        Raises:
            FilesGoneError: the store has lost the object, or a part of it.
        """
        if self.file.address is None:
            return self._contents.read(self.file, start, stop)
        stream = self._contents.open(self.file, start)
        if stop - start > WHOLE:
            return _Stream(stream, stop - start)
        with stream:
            return (b"".join(pieces(stream, stop - start)),)


class _Stream:
    """The next bytes of an open stream; closed when the server is done with it, read or not."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._pieces = pieces(stream, size)

    def __iter__(self) -> Iterator[bytes]:
        with self._stream:
            yield from self._pieces

    def close(self) -> None:
        """Let the object go."""
        self._stream.close()


@dataclass(frozen=True, slots=True)
class ArchiveRequest:
    """What an archive is to hold; ``since`` None means everything, else what changed after that ref."""

    kind: ArchiveKind
    content: ArchiveContent = ArchiveContent.DATA
    ref: str | None = None
    path: str = ""
    since: str | None = None
    selection: Selection = Selection()  # noqa: RUF009 - immutable


@dataclass(frozen=True)
class ArchiveDownload:
    """An archive of one commit; its size is measured when it is first asked for."""

    at: Pinned
    name: str
    etag: str
    _members: Callable[[], Iterator[File]]
    _contents: Contents
    _kind: ArchiveKind

    @cached_property
    def archive(self) -> Archive:
        """The archive, measured. Raises FilesGoneError, which names what cannot be read."""
        form = _FORMATS[self._kind](self.at.snapshot.commit.committer.when)
        return Archive(Replay(self._members), form)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes between."""
        return chunks(self.archive.parts(start, stop), self._contents.read)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files below a folder at one commit, looked up as they are read."""

    at: Pinned
    etag: str
    rows: Iterator[Listed]


@dataclass(frozen=True, slots=True)
class Checksums:
    """The files below a folder at one commit, all of which can be read."""

    at: Pinned
    etag: str
    _members: Callable[[], Iterator[File]]

    def lines(self, algorithm: str) -> Iterator[bytes]:
        """Yield one line a file for ``sha256sum -c`` or ``md5sum -c``; all files, or none at all.

        Raises:
            FilesGoneError: names what cannot be read, before the first line.
        """
        members = Replay(self._members)
        deque(members(), maxlen=0)
        for file in members():
            digest = file.sha256 if algorithm == "sha256" else file.md5
            yield checksum_line(digest, file.path).encode()


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a folder, or of every file below it."""

    at: Pinned
    etag: str
    entries: tuple[Entry, ...]
    next_after: str | None
    memory: FactMemory

    def rows(self) -> Iterator[tuple[Entry, ObjectFacts | Digests | None]]:
        """Yield each entry with what the ledger, or git itself, knows of its bytes."""
        pool = self.at.opened.found_pool
        addresses = {e.pointer.md5 for e in self.entries if e.pointer and e.kind is EntryKind.DATA}
        facts = pool.facts(addresses) if pool and addresses else {}
        for entry in self.entries:
            if entry.kind is EntryKind.TEXT and entry.blob and not entry.problem:
                yield entry, self.memory.of_text(self.at.opened, entry.blob)
                continue
            held = facts.get(entry.pointer.md5) if entry.pointer else None
            if held and held.is_legacy and pool and not held.damaged_at:
                md5 = Md5(self.memory.md5_of(pool, held))
                yield entry, Digests(md5, held.sha256, held.crc32, held.size)
            else:
                yield entry, held


class DownloadService:
    """Reads for everybody who may read. Nothing here writes."""

    def __init__(self, datasets: DatasetService) -> None:
        self._datasets = datasets
        self._memory = FactMemory()

    def at(self, actor: Actor, dataset: int | str, ref: str | None) -> Pinned:
        """Open a dataset for reading at a ref: the last time that a name matters.

        Raises:
            MissingError: no such dataset for this actor.
            InvalidRefError, RefNotFoundError: the ref is malformed or means nothing.
        """
        opened = self._datasets.open(actor, dataset, Action.READ)
        snapshot = opened.repo.at(parse_ref(ref) if ref else None)
        return Pinned(
            opened, snapshot, ref or opened.dataset.default_branch, bool(ref) and is_commit_id(ref or "")
        )

    def listing(
        self,
        actor: Actor,
        dataset: int | str,
        *,
        ref: str | None,
        path: str,
        after: str,
        limit: int,
        is_recursive: bool = False,
    ) -> Listing:
        """Return one page of a folder, sorted by name; of every file below it if ``is_recursive``.

        Raises:
            PathNotFoundError: there is no such folder.
        """
        at = self.at(actor, dataset, ref)
        folder = parse_path(path)
        if is_recursive:
            walked = list(islice(at.snapshot.walk(folder, after=RepoPath(after)), limit + 1))
            entries = tuple(walked[:limit])
            next_after: str | None = entries[-1].path if len(walked) > limit else None
        else:
            page = at.snapshot.list(folder, after=after, limit=limit)
            entries, next_after = page.entries, page.next_after
        etag = short_hash(
            ("tree-1", at.snapshot.folder_tag(folder), folder, after, str(limit), str(is_recursive))
        )
        return Listing(at, etag, entries, next_after, self._memory)

    def file(self, actor: Actor, dataset: int | str, path: str, ref: str | None) -> FileDownload:
        """Return one file, ready to be sent.

        Raises:
            PathNotFoundError: nothing lies there.
            BadRequestError: it is a folder (code ``is_folder``).
            TakenError: no storage site is bound.
            FilesGoneError: its bytes are lost or damaged.
        """
        at = self.at(actor, dataset, ref)
        entry = self._memory.entry(at.opened, at.snapshot, parse_path(path))
        if entry.kind is EntryKind.FOLDER:
            raise BadRequestError(
                f"{entry.path or '/'!r} is a folder; archive.zip?path=… sends all of it", code="is_folder"
            )
        contents = Contents(at.opened, self._memory)
        address = entry.pointer.md5 if entry.pointer else None
        facts = at.opened.pool.facts([address]).get(address) if address else None
        file = contents.file(entry, facts)
        if isinstance(file, Unreadable):
            raise gone([file])
        return FileDownload(at, file, entry.name, contents)

    def manifest(self, actor: Actor, dataset: int | str, *, ref: str | None, path: str) -> Manifest:
        """Return every file below a folder with size and hashes, in the order of a listing."""
        at = self.at(actor, dataset, ref)
        folder = parse_path(path)
        at.snapshot.entry(folder)
        rows = Contents(at.opened, self._memory).listed(at.snapshot, folder)
        state = at.opened.found_pool.state() if at.opened.found_pool else None
        return Manifest(at, short_hash(("manifest-1", at.commit, folder, state)), rows)

    def checksums(self, actor: Actor, dataset: int | str, *, ref: str | None, path: str) -> Checksums:
        """Return every file below a folder, for lists that tools verify."""
        at = self.at(actor, dataset, ref)
        folder = parse_path(path)
        at.snapshot.entry(folder)
        contents = Contents(at.opened, self._memory)
        return Checksums(
            at,
            short_hash(("checksums-1", at.commit, folder)),
            lambda: readable(contents.below(at.snapshot, folder)),
        )

    def archive(self, actor: Actor, dataset: int | str, wanted: ArchiveRequest) -> ArchiveDownload:
        """Return an archive of a folder, a version, or what changed since another version.

        Raises:
            PathNotFoundError: nothing lies at the path.
        """
        at = self.at(actor, dataset, wanted.ref)
        folder = parse_path(wanted.path)
        at.snapshot.entry(folder)
        since = at.opened.repo.resolve(parse_ref(wanted.since)) if wanted.since else None
        contents = Contents(at.opened, self._memory)
        selection = wanted.selection

        def members() -> Iterator[File]:
            if wanted.content is ArchiveContent.POINTERS:
                return readable(contents.raw_files(_raw_rows(at, folder, since, selection)))
            if since:
                entries = _changed_entries(at, folder, since)
            elif selection.takes_all:
                return readable(contents.stored(contents.below(at.snapshot, folder)))
            else:
                entries = entries_below(at.snapshot, folder)
            chosen = (entry for entry in entries if selection.takes(entry.path))
            return readable(contents.stored(contents.files(chosen)))

        tag = archive_tag(wanted.kind, wanted.content, (at.commit, since), folder, selection)
        name = archive_name(at.opened.dataset.path, at.ref, folder, wanted.kind)
        return ArchiveDownload(at, name, tag, members, contents, wanted.kind)


def _changed_entries(at: Pinned, folder: RepoPath, since: CommitId) -> Iterator[Entry]:
    """Yield the files below a folder that were added or got other bytes since a commit."""
    is_folder = at.snapshot.entry(folder).kind is EntryKind.FOLDER
    above = folder if is_folder else RepoPath(folder.rpartition("/")[0])
    for change in at.opened.repo.diff(since, at.commit, folder=above):
        after = change.after
        if after is None or not is_below(after.path, folder):
            continue
        if change.before is None or not _is_same_content(change.before, after):
            yield after


def _is_same_content(one: Entry, two: Entry) -> bool:
    """A pointer may change in what it says about a file without the bytes being others."""
    return bool(one.pointer and two.pointer and one.pointer.md5 == two.pointer.md5)


def _raw_rows(
    at: Pinned, folder: RepoPath, since: CommitId | None, selection: Selection
) -> Iterator[tuple[str, bytes]]:
    """Yield (path, blob id) of the repository's files; DVC's own settings always come along."""
    rows = _raw_changes(at, since) if since else ((path, oid) for path, _, oid in at.snapshot.raw_walk())
    for path, oid in rows:
        shown = path.removesuffix(layout.POINTER_SUFFIX)
        is_chosen = is_below(shown, folder) and (selection.takes(path) or selection.takes(shown))
        if is_chosen or path.startswith(_DVC_FOLDER):
            yield path, oid


def _raw_changes(at: Pinned, since: CommitId) -> Iterator[tuple[str, bytes]]:
    git = at.opened.repo.git
    old = bytes.fromhex(git.read_commit(since).tree)
    for where, files in trees.differences(old, at.snapshot.tree_oid, git.read_folder):
        for name, _, after in files:
            if after and after.is_blob:
                yield where + name, after.oid
