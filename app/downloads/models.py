"""What can be downloaded: files with trusted facts, byte ranges, selections of paths. Pure."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import translate

from app.errors import GoneError
from gitops.model import BlobId, CommitId, Md5, RepoPath

MAX_PATHS_NAMED = 100


class ArchiveKind(StrEnum):
    """The file formats of an archive."""

    ZIP = "zip"
    TAR = "tar"


class ArchiveContent(StrEnum):
    """What an archive holds: the files themselves, or the repository with its pointers."""

    DATA = "data"
    POINTERS = "pointers"


class FilesGoneError(GoneError):
    """The bytes of these files are lost, damaged, or were never stored for this dataset."""

    code = "object_gone"

    def __init__(self, message: str, paths: Sequence[str]) -> None:
        super().__init__(message)
        self.paths = tuple(paths[:MAX_PATHS_NAMED])


@dataclass(frozen=True, slots=True)
class File:
    """One file of a version, with facts that were computed from its bytes.

    Attributes:
        size: bytes.
        md5: of the bytes; differs from ``address`` for text that DVC 2 addressed by its LF form.
        crc32: as a number.
        address: where the pool holds it, for a data file.
        blob: what git holds, for a text file.
    """

    path: str
    size: int
    md5: str
    sha256: str
    crc32: int
    address: Md5 | None = None
    blob: BlobId | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of a manifest; None where nothing is known. ``problem`` says why it cannot be read."""

    path: str
    size: int | None = None
    md5: str | None = None
    sha256: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A path of a version whose bytes cannot be had, and why."""

    path: str
    reason: str


class Selection:
    """Which paths an archive takes. ``exclude`` wins; no ``include`` at all takes everything.

    A pattern matches a whole path, a file name alone, or a folder with all below it. ``*`` crosses
    slashes, ``**/`` also stands for no folder, ``?`` and ``[…]`` are as in a shell. The same rules as
    the command line's.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self.include = tuple(include)
        self.exclude = tuple(exclude)
        self._include = _compiled(self.include)
        self._exclude = _compiled(self.exclude)

    @property
    def takes_all(self) -> bool:
        """Nothing is left out."""
        return not (self.include or self.exclude)

    def takes(self, path: str) -> bool:
        """Tell whether a path is selected."""
        if self._include and not _matches(self._include, path):
            return False
        return not (self._exclude and _matches(self._exclude, path))


def _compiled(patterns: Sequence[str]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    forms: dict[str, None] = {}
    for given in patterns:
        pattern = given.strip("/") if given.endswith("/") else given.lstrip("/")
        for form in (pattern, pattern.replace("**/", "")):
            forms[translate(form)] = None
            forms[translate(f"{form}/*")] = None
    return re.compile("|".join(f"(?:{form})" for form in forms))


def _matches(patterns: re.Pattern[str], path: str) -> bool:
    return bool(patterns.match(path) or patterns.match(path.rpartition("/")[2]))


def is_below(path: str, folder: RepoPath) -> bool:
    """Tell whether a path is, or lies in, a folder; everything lies in the root."""
    return not folder or path == folder or path.startswith(f"{folder}/")


def archive_tag(
    kind: ArchiveKind,
    content: ArchiveContent,
    commits: tuple[CommitId, CommitId | None],
    folder: RepoPath,
    selection: Selection,
) -> str:
    """Return what identifies an archive's bytes: the same in every process, for ever.

    The layout's number changes whenever the bytes of the same members would.
    """
    parts = (kind, "layout-1", content, *commits, folder, *selection.include, "\0", *selection.exclude)
    return short_hash(parts)


def short_hash(parts: Sequence[str | None]) -> str:
    """Return 32 hexadecimal digits that stand for a sequence of texts."""
    hasher = hashlib.sha256()
    for part in parts:
        raw = b"-" if part is None else part.encode()
        hasher.update(b"%d:" % len(raw) + raw)
    return hasher.hexdigest()[:32]


def archive_name(dataset: str, ref: str, folder: RepoPath, kind: ArchiveKind) -> str:
    """Return the file name of an archive: ``<dataset>-<ref>.zip``; a full commit id is shortened."""
    shown = ref[:12] if re.fullmatch(r"[0-9a-f]{40}", ref) else ref.replace("/", "-")
    below = "-" + folder.replace("/", "-") if folder else ""
    return f"{dataset}-{shown}{below}.{kind}"


def checksum_line(digest: str, path: str) -> str:
    r"""Return one line that ``sha256sum -c`` reads.

    GNU coreutils 9.1, "md5sum invocation": a name with a backslash or line break is escaped, and a
    backslash before the digest says so.
    """
    escaped = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    mark = "\\" if escaped != path else ""
    return f"{mark}{digest}  {escaped}\n"
