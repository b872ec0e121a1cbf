"""The engine's values: parsed once at the edge, trusted afterwards. No I/O.

The ref grammar follows git-check-ref-format(1) of git 2.39 and is narrower: no leading ``-``,
no ``refs/`` prefix, nothing that git could read as a revision expression.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

from gitops.errors import InvalidPathError, InvalidPointerError, InvalidRefError

CommitId = NewType("CommitId", str)
"""40 lowercase hexadecimal digits; immutable."""
TreeId = NewType("TreeId", str)
"""40 lowercase hexadecimal digits: one folder at one moment."""
BlobId = NewType("BlobId", str)
"""40 lowercase hexadecimal digits: one text file or pointer in git."""
RefName = NewType("RefName", str)
"""A branch, tag or other ref expression as typed; what it names may change."""
RepoPath = NewType("RepoPath", str)
"""Normalised relative path: NFC, ``/`` between segments, no hostile segment; ``""`` is the root."""
Md5 = NewType("Md5", str)
"""DVC's address of an object: 32 lowercase hexadecimal digits, ``.dir`` appended for a manifest."""

ROOT = RepoPath("")

MAX_PATH_BYTES = 4096
MAX_SEGMENT_BYTES = 255 - len(".dvc")
MAX_DEPTH = 64
MAX_REF_BYTES = 255
MAX_REF_PART_BYTES = 255 - len(".lock")

_MD5 = re.compile(r"[0-9a-f]{32}")
_ADDRESS = re.compile(r"[0-9a-f]{32}(\.dir)?")
_COMMIT_ID = re.compile(r"[0-9a-f]{40}")
_ABBREVIATED_ID = re.compile(r"[0-9a-f]{7,39}")
_DATED_BRANCH = re.compile(r"(?P<branch>[^@]+)@\{(?P<moment>[0-9][0-9T:.,Z+ -]*)\}")
_VERSION_RANGE = re.compile(r"~(?P<prefix>v?[0-9]+(\.[0-9]+)?(\.[0-9]+)?)")
_REF_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
# Most names by far, in which no fault can be: it spares a look at each character of a thousand rows.
_PLAIN_SEGMENT = re.compile(r"[\w-](?:[\w .-]{0,120}[\w-])?", re.ASCII)
# Code points that HFS+ ignores in names, so that ".g\u200cit" reaches ".git" on a Mac (CVE-2014-9390).
_HFS_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_GIT_ALIAS = re.compile(r"git~[0-9]+", re.IGNORECASE)


def parse_path(raw: str) -> RepoPath:
    """Return the normalised form of a path inside a dataset; one leading and trailing ``/`` is ignored.

    Raises:
        InvalidPathError: the path is absolute in disguise, climbs, names git's own folder, holds
            control characters or bytes that not every file system can hold.
    """
    try:
        raw.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidPathError(f"the path {raw!a} is not valid UTF-8") from error
    path = unicodedata.normalize("NFC", raw)
    path = path.removeprefix("/").removesuffix("/")
    if not path:
        return ROOT
    if len(path.encode()) > MAX_PATH_BYTES:
        raise InvalidPathError(f"the path {path[:60]!r}… is longer than {MAX_PATH_BYTES} bytes")
    segments = path.split("/")
    if len(segments) > MAX_DEPTH:
        raise InvalidPathError(f"the path {path[:60]!r}… is deeper than {MAX_DEPTH} folders")
    for segment in segments:
        reason = segment_fault(segment)
        if reason:
            raise InvalidPathError(f"the path {path!r} is refused: {reason}", paths=[path])
    return RepoPath(path)


def segment_fault(segment: str) -> str | None:  # noqa: PLR0911 - one line a rule reads best
    """Return why one name between slashes cannot be stored safely everywhere, or None."""
    if _PLAIN_SEGMENT.fullmatch(segment):
        return None
    if segment in ("", ".", ".."):
        return "empty, '.' and '..' segments are not allowed"
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in segment):
        return "control characters are not allowed"
    if "\u2028" in segment or "\u2029" in segment:
        return "line separators are not allowed"
    if "\\" in segment:
        return "backslashes are not allowed"
    if segment[-1] in ". ":
        return "a name may not end in a dot or a space"
    if segment[0] == " ":
        return "a name may not begin with a space"
    if len(segment.encode()) > MAX_SEGMENT_BYTES:
        return f"a name may have at most {MAX_SEGMENT_BYTES} bytes"
    plain = _HFS_IGNORED.sub("", segment).split(":")[0].rstrip(". ").casefold()
    if plain == ".git" or _GIT_ALIAS.fullmatch(plain):
        return "'.git' is git's own"
    return None


def parse_md5(raw: str) -> Md5:
    """Return the address of a file's bytes.

    Raises:
        InvalidPointerError: not 32 lowercase hexadecimal digits.
    """
    if not _MD5.fullmatch(raw):
        raise InvalidPointerError(f"{raw[:80]!r} is not an MD5 (32 lowercase hexadecimal digits)")
    return Md5(raw)


def parse_address(raw: str) -> Md5:
    """Return the address of any object: a file's bytes, or a manifest with ``.dir`` appended.

    Raises:
        InvalidPointerError: anything else, because an address becomes part of a path.
    """
    if not _ADDRESS.fullmatch(raw):
        raise InvalidPointerError(f"{raw[:80]!r} is not the address of an object")
    return Md5(raw)


def is_md5(raw: str) -> bool:
    """Tell whether the text is 32 lowercase hexadecimal digits."""
    return _MD5.fullmatch(raw) is not None


def is_commit_id(raw: str) -> bool:
    """Tell whether the text is a full commit id."""
    return _COMMIT_ID.fullmatch(raw) is not None


def is_abbreviated_id(raw: str) -> bool:
    """Tell whether the text may abbreviate a commit id (7 to 39 hexadecimal digits)."""
    return _ABBREVIATED_ID.fullmatch(raw) is not None


def parse_ref(raw: str) -> RefName | CommitId:
    """Return the ref expression that ``?ref=`` carries, checked against our own grammar.

    Accepted: full or abbreviated commit ids, branch and tag names, ``latest``, ``~1.2`` and
    ``branch@{2026-03-01}``.

    Raises:
        InvalidRefError: anything that git could read as an option, an expression or a path.
    """
    if is_commit_id(raw):
        return CommitId(raw)
    if _VERSION_RANGE.fullmatch(raw):
        return RefName(raw)
    dated = _DATED_BRANCH.fullmatch(raw)
    if dated:
        parse_name(dated["branch"])
        return RefName(raw)
    return parse_name(raw)


def split_dated_branch(ref: RefName) -> tuple[RefName, str] | None:
    """Return branch and moment of ``branch@{moment}``, or None for any other ref."""
    dated = _DATED_BRANCH.fullmatch(ref)
    return (RefName(dated["branch"]), dated["moment"]) if dated else None


def split_version_range(ref: RefName) -> str | None:
    """Return ``"0.1"`` of ``~0.1`` (a leading ``v`` is dropped), or None for any other ref."""
    found = _VERSION_RANGE.fullmatch(ref)
    return found["prefix"].removeprefix("v") if found else None


def parse_name(raw: str) -> RefName:
    """Return a branch or tag name that git accepts and that no command could misread.

    Raises:
        InvalidRefError: see git-check-ref-format(1); also a leading ``-`` and ``refs/…``.
    """
    fault = _name_fault(raw)
    if fault:
        raise InvalidRefError(f"{raw[:80]!a} is not a branch, tag or commit id: {fault}")
    return RefName(raw)


def _name_fault(raw: str) -> str | None:  # noqa: PLR0911 - one line a rule reads best
    if not raw:
        return "it is empty"
    if len(raw.encode(errors="surrogatepass")) > MAX_REF_BYTES:
        return f"it is longer than {MAX_REF_BYTES} bytes"
    if any(unicodedata.category(char) in ("Cc", "Cs", "Cf") for char in raw):
        return "it holds control characters"
    if _REF_FORBIDDEN.search(raw):
        return "it holds a character or sequence that git reads as an expression"
    if raw[0] in "-/" or raw[-1] in "/." or raw in ("@", "HEAD", "FETCH_HEAD", "ORIG_HEAD"):
        return "its first or last character, or the whole name, has a meaning of its own"
    if raw.startswith("refs/"):
        return "give the name without 'refs/…'"
    for part in raw.split("/"):
        if part.startswith(".") or part.endswith(".lock"):
            return "no part may begin with '.' or end in '.lock'"
        if len(part.encode()) > MAX_REF_PART_BYTES:
            return f"no part may be longer than {MAX_REF_PART_BYTES} bytes"
    return None


@dataclass(frozen=True, slots=True)
class Digests:
    """What one pass over some bytes yields. ``size`` in bytes; hashes in lowercase hexadecimal."""

    md5: Md5
    sha256: str
    crc32: str
    size: int


@dataclass(frozen=True, slots=True)
class PointerMeta:
    """Facts a pointer carries beside the address; all optional, none trusted for access.

    ``width`` and ``height`` in pixels, ``duration`` in seconds.
    """

    sha256: str | None = None
    crc32: str | None = None
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    more: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pointer:
    """The address of a data file's bytes.

    Attributes:
        md5: the object's address; of its manifest for a folder that DVC tracks as one.
        size: bytes, or None where the DVC file does not say (the rows of a manifest).
        is_legacy: written by DVC 2, whose MD5 of a text file is that of its LF form.
    """

    md5: Md5
    size: int | None
    meta: PointerMeta = PointerMeta()
    is_legacy: bool = False

    @property
    def is_dir(self) -> bool:
        """The object is a manifest of files, not a file."""
        return self.md5.endswith(".dir")


class EntryKind(StrEnum):
    """What a row of a folder listing is."""

    FOLDER = "folder"
    TEXT = "text"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a folder listing.

    Attributes:
        size: bytes; None for folders, broken rows and rows whose size nothing records.
        pointer: set for DATA, and for a FOLDER that DVC tracks as one.
        blob: the text file's or pointer file's blob; None for rows inside a tracked folder.
        problem: why the row cannot be read; everything else about it is then unreliable.
    """

    path: RepoPath
    kind: EntryKind
    size: int | None = None
    pointer: Pointer | None = None
    blob: BlobId | None = None
    problem: str | None = None

    @property
    def name(self) -> str:
        """The last segment of the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Signature:
    """Who did something and when; ``when`` is timezone-aware."""

    name: str
    email: str
    when: datetime


@dataclass(frozen=True, slots=True)
class Commit:
    """One version of a dataset."""

    id: CommitId
    tree: TreeId
    parents: tuple[CommitId, ...]
    author: Signature
    committer: Signature
    message: str

    @property
    def title(self) -> str:
        """The first line of the message."""
        return self.message.split("\n", 1)[0]


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs between two versions; ``before`` None means added, ``after`` None removed."""

    path: RepoPath
    before: Entry | None
    after: Entry | None


@dataclass(frozen=True, slots=True)
class Tag:
    """A named commit. A tag with notes is a release and never moves."""

    name: RefName
    commit: CommitId
    notes: str | None
    tagger: Signature | None

    @property
    def is_release(self) -> bool:
        """A release is an annotated tag."""
        return self.notes is not None


@dataclass(frozen=True, slots=True)
class Branch:
    """A named line of versions."""

    name: RefName
    commit: CommitId


@dataclass(frozen=True, slots=True)
class Totals:
    """How much a folder holds at one version; ``size`` counts each file's bytes once per path."""

    files: int = 0
    size: int = 0
    unsized: int = 0
    """Files whose size nothing records."""

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(self.files + other.files, self.size + other.size, self.unsized + other.unsized)
