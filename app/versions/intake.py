"""Content on its way into a version: bytes to the pool or to git, pointers to change sets."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.datasets.models import ObjectFacts
from app.datasets.pool import Pool
from app.datasets.service import OpenDataset
from app.errors import BadRequestError
from app.versions.models import MAX_MESSAGE, Claim, Written, is_file
from gitops import layout
from gitops.changes import ChangeSet
from gitops.errors import EditConflictError, PathNotFoundError
from gitops.media_types import media_type
from gitops.model import (
    ROOT,
    CommitId,
    Entry,
    Md5,
    Pointer,
    PointerMeta,
    RefName,
    RepoPath,
)
from gitops.objects import digest
from gitops.snapshot import Snapshot

_UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Condition:
    """What must still hold when a change lands.

    Attributes:
        parent: the branch must lead to exactly this commit.
        holds: told the etag of what a path holds now (None: nothing), says whether to go on.
    """

    parent: CommitId | None = None
    holds: Callable[[str | None], bool] | None = None

    @property
    def is_set(self) -> bool:
        """The caller asked for something, so a lost race is 412, not 409."""
        return self.parent is not None or self.holds is not None


NO_CONDITION = Condition()


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file on its way in: where to, and its bytes."""

    path: RepoPath
    chunks: Iterable[bytes]
    size: int | None = None


@dataclass(slots=True)
class FormUpload:
    """A form with files: its fields are filled in while it is read, the outcome afterwards."""

    folder: RepoPath = ROOT
    message: str | None = None
    branch: RefName | None = None
    stored: list[tuple[RepoPath, ObjectFacts]] = field(default_factory=list)
    written: Written | None = None


class BytesMissingError(EditConflictError):
    """A change names bytes that were never stored for this dataset."""

    code = "bytes_missing"


def take(opened: OpenDataset, changes: ChangeSet, incoming: Incoming) -> ObjectFacts:
    """Store one file's bytes and note it in the change set: text in git, all else in the pool."""
    content, chunks = _head(incoming) if _may_be_text(incoming) else (None, incoming.chunks)
    if content is not None and layout.is_text(content):
        changes.write(incoming.path, content)
        digests = digest(content)
        return ObjectFacts(digests.md5, digests.size, digests.sha256, digests.crc32)
    facts = opened.pool.receive(chunks, size=incoming.size)
    changes.put(incoming.path, pointer_of(incoming.path, facts))
    return facts


def find_file(snapshot: Snapshot, path: RepoPath) -> Entry | None:
    """Return what lies at a path if it is a file, else None."""
    try:
        found = snapshot.entry(path)
    except PathNotFoundError:
        return None
    return found if is_file(found) else None


def content_etag(opened: OpenDataset, entry: Entry) -> str:
    """Return the MD5 of a file's bytes: its strong entity tag, whichever way it is stored."""
    if entry.pointer is not None:
        pool = opened.found_pool
        return pool.content_md5(entry.pointer.md5) if pool else entry.pointer.md5
    if entry.blob is None:
        return _UNREADABLE
    return digest(opened.repo.git.read(entry.blob).content).md5


def pointer_of(path: RepoPath, facts: ObjectFacts) -> Pointer:
    """Return the pointer that a path gets for an object, with everything that the ledger knows."""
    meta = PointerMeta(sha256=facts.sha256, crc32=facts.crc32, media_type=media_type(path))
    return Pointer(md5=facts.address, size=facts.size, meta=meta, is_legacy=facts.is_legacy)


def put_object(changes: ChangeSet, pool: Pool, path: RepoPath, facts: ObjectFacts) -> None:
    """Note a file whose bytes are in the pool; small text moves into git."""
    if layout.kept_in_git(path, facts.size):
        with pool.open(facts.address) as stream:
            content = stream.read()
        if layout.is_text(content):
            changes.write(path, content)
            return
    changes.put(path, pointer_of(path, facts))


def refuse_missing(opened: OpenDataset, named: Sequence[Claim], facts: Mapping[Md5, ObjectFacts]) -> None:
    """Refuse a change that names bytes which the dataset does not hold, path by path.

    Raises:
        BytesMissingError: with every such path.
    """
    missing = [claim.path for claim in named if not claim.is_held(facts.get(claim.md5))]
    if missing:
        raise BytesMissingError(
            f"{opened.dataset.full_path} does not hold the bytes of {len(missing)} file(s), "
            f"{missing[0]!r} first; send them before the commit",
            paths=missing,
        )


def checked_message(message: str) -> str:
    """Return a commit message that git can hold. Raises BadRequestError."""
    text = message.strip()
    if not text:
        raise BadRequestError("a version needs a message", code="message_missing")
    if len(text) > MAX_MESSAGE or "\0" in text:
        raise BadRequestError(f"a message has at most {MAX_MESSAGE} characters and no NUL")
    return text


def described(paths: Sequence[RepoPath], existing: set[RepoPath]) -> str:
    """Return the message of an upload that came without one."""
    if len(paths) == 1:
        return f"{'Replace' if paths[0] in existing else 'Add'} {paths[0]}"
    return f"Upload {len(paths)} files"


def _may_be_text(incoming: Incoming) -> bool:
    return layout.kept_in_git(incoming.path, incoming.size or 0)


def _head(incoming: Incoming) -> tuple[bytes | None, Iterable[bytes]]:
    """Return the whole content if it is small enough for git, and in any case chunks to read it from."""
    iterator = iter(incoming.chunks)
    content = bytearray()
    for chunk in iterator:
        content += chunk
        if len(content) > layout.MAX_TEXT_BYTES:
            return None, _chain(bytes(content), iterator)
    if incoming.size is not None and incoming.size != len(content):
        return None, [bytes(content)]
    return bytes(content), [bytes(content)]


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
