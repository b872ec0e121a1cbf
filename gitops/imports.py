"""Pointers of ``dvc import``: files and folders whose bytes live in another repository. Pure.

The format is that of DVC 3 (read in DVC 3.67: ``dvc/stage/utils.py`` for the checksum of a stage,
``dvc_data/hashfile/tree.py`` for manifests, ``dvc/fs/dvc.py`` for what DVC sees of a repository).
"""

import hashlib
import json
from dataclasses import dataclass

from gitops import layout, pointers
from gitops.errors import InvalidPointerError
from gitops.model import CommitId, Md5, is_commit_id

WHOLE = "."
"""How DVC writes the path of everything in a repository."""

_SOURCE_KEYS = frozenset({"url", "rev", "rev_lock"})
_DVC_FOLDER = ".dvc/"
_NEVER_SEEN = frozenset({layout.PIPELINE_FILE, ".dvcignore"})


@dataclass(frozen=True, slots=True)
class ImportSource:
    """A path of another repository at one commit; ``rev`` is what ``dvc update`` follows."""

    url: str
    path: str
    commit: CommitId
    rev: str | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What DVC computes of the bytes at a path: ``files`` is set for a folder, ``size`` is in bytes."""

    address: Md5
    size: int
    files: int | None = None


class FolderDigest:
    """Computes DVC's address of a folder from its files, one after the other; memory stays constant."""

    def __init__(self) -> None:
        self._hasher = hashlib.md5(b"[", usedforsecurity=False)
        self._files = 0
        self._size = 0

    def add(self, path: str, md5: str, size: int) -> None:
        """Take the next file, in the order of ``in_order``; the path is relative to the folder."""
        row = json.dumps({"md5": md5, "relpath": path})
        self._hasher.update((", " + row if self._files else row).encode())
        self._files += 1
        self._size += size

    def result(self) -> Imported:
        """Return the folder's address, its bytes and the number of its files."""
        whole = self._hasher.copy()
        whole.update(b"]")
        return Imported(Md5(f"{whole.hexdigest()}.dir"), self._size, self._files)


def in_order(path: str) -> list[str]:
    """Return the key by which the rows of a manifest are sorted: segment by segment."""
    return path.split("/")


def is_seen(path: str) -> bool:
    """Tell whether ``dvc import`` of a folder takes along what git holds at a path of the repository."""
    name = path.rpartition("/")[2]
    is_dvc_file = name.endswith(layout.POINTER_SUFFIX) or name in _NEVER_SEEN
    return not is_dvc_file and not path.startswith(_DVC_FOLDER)


def render(source: ImportSource, name: str, content: Imported | None) -> bytes:
    """Return ``<name>.dvc`` byte for byte as ``dvc import`` writes it.

    Without ``content`` it is what ``dvc import --no-download`` writes: DVC learns the hash when it pulls.
    """
    lines = [f"md5: {pointers.hexadecimal(_stage_md5(source, name, content))}", "frozen: true", "deps:"]
    lines += [f"- path: {pointers.scalar(source.path)}", "  repo:", f"    url: {pointers.scalar(source.url)}"]
    if source.rev:
        lines.append(f"    rev: {pointers.scalar(source.rev)}")
    lines += [f"    rev_lock: {pointers.hexadecimal(source.commit)}", "outs:"]
    out = ["hash: md5", f"path: {pointers.scalar(name)}"]
    if content is not None:
        counted = [] if content.files is None else [f"nfiles: {content.files}"]
        out = [f"md5: {pointers.hexadecimal(content.address)}", f"size: {content.size}", *counted, *out]
    lines += [("- " if not number else "  ") + line for number, line in enumerate(out)]
    return ("\n".join(lines) + "\n").encode()


def _stage_md5(source: ImportSource, name: str, content: Imported | None) -> str:
    """Return DVC's checksum of the stage; sizes and ``frozen`` do not enter it."""
    repo = {"url": source.url, **({"rev": source.rev} if source.rev else {}), "rev_lock": source.commit}
    out = {**({"md5": content.address} if content else {}), "hash": "md5", "path": name}
    stage = {"deps": [{"path": source.path, "repo": repo}], "outs": [out]}
    return hashlib.md5(json.dumps(stage, sort_keys=True).encode(), usedforsecurity=False).hexdigest()


def find_source(text: bytes) -> ImportSource | None:
    """Return what a ``.dvc`` file imports from another repository, or None if it imports nothing.

    Raises:
        InvalidPointerError: it is malformed, is not locked to a commit, or brings settings of its own,
            which would lead the DVC of everybody who pulls to places that nobody looked at.
    """
    deps = pointers.load_document(text).get("deps")
    if not isinstance(deps, list) or not any(isinstance(dep, dict) and "repo" in dep for dep in deps):
        return None
    first = deps[0] if len(deps) == 1 else {}
    repo, path = first.get("repo"), first.get("path")
    if not isinstance(repo, dict) or not isinstance(path, str):
        raise InvalidPointerError("an import names one path of one repository")
    if not repo.keys() <= _SOURCE_KEYS:
        extra = ", ".join(sorted(map(str, repo.keys() - _SOURCE_KEYS)))[:80]
        raise InvalidPointerError(f"an import may not bring settings of its own ({extra})")
    url, rev, commit = repo.get("url"), repo.get("rev"), repo.get("rev_lock")
    if not isinstance(url, str) or not isinstance(rev, str | None):
        raise InvalidPointerError("an import needs the 'url' of a repository")
    if not isinstance(commit, str) or not is_commit_id(commit):
        raise InvalidPointerError("an import needs the full commit id in 'rev_lock'")
    return ImportSource(url, path, CommitId(commit), rev)
