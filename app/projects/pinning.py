"""What DVC sees of a dataset at one commit, computed without DVC and without reading data.

One pass over the version's manifest yields the address of every folder, in constant memory: DVC's
manifests are sorted as the listing is.
"""

import hashlib
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import chain, groupby

from app.downloads.models import Listed, checksum_line, is_below
from app.downloads.service import Manifest
from app.projects.models import MAX_PARTS, Part, PinnedVersion
from gitops import imports, layout
from gitops.imports import WHOLE, FolderDigest, Imported
from gitops.model import ROOT, Md5, RepoPath, is_md5
from gitops.objects import digest
from gitops.snapshot import Snapshot

_MAX_HIDDEN = 100_000
_IGNORE_FILE = ".dvcignore"


class _Tally:
    """Counts a version's files on their way and hashes the list of their checksums."""

    def __init__(self) -> None:
        self.files = 0
        self.size = 0
        self._hasher = hashlib.sha256()
        self._is_whole = True

    def through(self, rows: Iterable[Listed]) -> Iterator[Listed]:
        """Yield the rows unchanged."""
        for row in rows:
            self.files += 1
            self.size += row.size or 0
            if row.sha256:
                self._hasher.update(checksum_line(row.sha256, row.path).encode())
            else:
                self._is_whole = False
            yield row

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of the list, None if a file's checksum is not known."""
        return self._hasher.hexdigest() if self._is_whole else None


def pinned_version(manifest: Manifest) -> PinnedVersion:
    """Return what a project pins of a version: a part for each name in its root, or one for all."""
    snapshot, tally = manifest.at.snapshot, _Tally()
    is_whole = len(snapshot.list(ROOT, limit=MAX_PARTS + 1).entries) > MAX_PARTS
    hidden = _hidden(snapshot, ROOT, is_split=not is_whole)
    rows = _joined(tally.through(manifest.rows), hidden or ())
    if is_whole:
        parts = [Part(WHOLE, _folder(rows, "", is_exact=hidden is not None))]
    else:
        parts = [
            Part(name, _content(name, group, is_exact=hidden is not None))
            for name, group in groupby(rows, key=lambda row: row.path.partition("/")[0])
            if name != layout.LOCK_FILE
        ]
    return PinnedVersion(tuple(parts), tally.files, tally.size, tally.sha256)


def content_at(manifest: Manifest, path: RepoPath) -> Imported | None:
    """Return what DVC makes of a file or folder whose manifest this is; None if only DVC can tell."""
    hidden = _hidden(manifest.at.snapshot, path, is_split=False)
    rows = _joined(manifest.rows, hidden or ())
    if path == ROOT:
        return _folder(rows, "", is_exact=hidden is not None)
    return _content(path, rows, is_exact=hidden is not None)


def _joined(rows: Iterable[Listed], hidden: Iterable[Listed]) -> Iterator[Listed]:
    """Yield what DVC sees, in the order of its manifests."""
    seen = (row for row in rows if imports.is_seen(row.path))
    return merge(seen, hidden, key=lambda row: imports.in_order(row.path))


def _content(path: str, rows: Iterable[Listed], *, is_exact: bool) -> Imported | None:
    """Return the content of one path: a file's own row, or all rows below a folder."""
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return None
    if first.path == path:
        return _file(first)
    return _folder(chain((first,), rows), f"{path}/", is_exact=is_exact)


def _file(row: Listed) -> Imported | None:
    if row.md5 is None or row.size is None or not is_md5(row.md5):
        return None
    return Imported(Md5(row.md5), row.size)


def _folder(rows: Iterable[Listed], prefix: str, *, is_exact: bool) -> Imported | None:
    hasher = FolderDigest()
    for row in rows:
        file = _file(row)
        if file is None:
            is_exact = False
        elif is_exact:
            hasher.add(row.path.removeprefix(prefix), file.address, file.size)
    return hasher.result() if is_exact else None


def _hidden(snapshot: Snapshot, folder: RepoPath, *, is_split: bool) -> list[Listed] | None:
    """Return what git holds below a folder, DVC imports and no listing shows: ``.gitignore`` and the like.

    None if DVC leaves out files by rules of its own (``.dvcignore``), or if there is too much of it.

    Args:
        snapshot: the version.
        folder: where to look.
        is_split: the names in the root are imported one by one, so what is hidden there is left out.
    """
    found: list[Listed] = []
    for path, _, oid in snapshot.raw_walk():
        name = path.rpartition("/")[2]
        if name == _IGNORE_FILE and _has_rules(snapshot.read_blob(oid)):
            return None
        is_unlisted = layout.is_hidden(f"x/{name}") or (not folder and layout.is_hidden(path))
        if not (is_unlisted and imports.is_seen(path) and is_below(path, folder)):
            continue
        if is_split and ("/" not in path or layout.is_hidden(path.partition("/")[0])):
            continue
        if len(found) >= _MAX_HIDDEN:
            return None
        facts = digest(snapshot.read_blob(oid))
        found.append(Listed(path, facts.size, facts.md5))
    return sorted(found, key=lambda row: imports.in_order(row.path))


def _has_rules(text: bytes) -> bool:
    return any(line.strip() and not line.startswith(b"#") for line in text.splitlines())
