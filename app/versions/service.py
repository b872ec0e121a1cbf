"""Versions: write content as one commit, read history, compare, take back, name.

Effects come in one order everywhere: bytes durable, then the commit, then the database.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from app.access import Action, Actor
from app.datasets.models import DatasetId, ObjectFacts
from app.datasets.pool import Pool
from app.datasets.service import DatasetService, OpenDataset
from app.db import Database
from app.errors import BadRequestError, PreconditionError, TakenError
from app.jobs import Jobs
from app.versions.models import (
    MAX_MESSAGE,
    ActionKind,
    Amount,
    Comparison,
    FileAction,
    Stats,
    Version,
    Written,
    compared,
    is_file,
)
from gitops import layout
from gitops.cache import ImmutableCache, MemoryCache
from gitops.changes import ChangeSet, Remove
from gitops.errors import (
    EditConflictError,
    InvalidError,
    NothingToCommitError,
    PathNotFoundError,
    RefMovedError,
)
from gitops.media_types import media_type
from gitops.model import (
    ROOT,
    Branch,
    Change,
    Commit,
    CommitId,
    Entry,
    EntryKind,
    Md5,
    Pointer,
    PointerMeta,
    RefName,
    RepoPath,
    Tag,
    parse_path,
)
from gitops.objects import digest
from gitops.snapshot import Snapshot

COMMITTED = "version.committed"
MAINTAIN = "git.maintain"
_PACKS_BEFORE_MAINTENANCE = 40
_MAX_COMPARED = 1_000_000


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


class VersionService:
    """Reads and writes the versions of datasets."""

    def __init__(
        self,
        *,
        datasets: DatasetService,
        database: Database,
        jobs: Jobs,
        cache: ImmutableCache,
        clock: Callable[[], datetime],
        git_timeout_s: int,
    ) -> None:
        self._datasets = datasets
        self._database = database
        self._jobs = jobs
        self._cache = cache
        self._clock = clock
        self._git_timeout_s = git_timeout_s
        self._comparisons: MemoryCache[tuple[str, str], Comparison] = MemoryCache(
            max_weight=50_000, weigh=lambda found: len(found.rows) + 1
        )

    # Writing

    def put_files(
        self,
        actor: Actor,
        dataset: int | str,
        files: Iterable[Incoming],
        *,
        branch: RefName | None = None,
        message: str | None = None,
        condition: Condition = NO_CONDITION,
    ) -> tuple[Written, list[tuple[RepoPath, ObjectFacts]]]:
        """Store files and make them one version; all of them or none appear.

        The version that a conflict is judged against is the one that stood when the bytes began to
        arrive.
        """
        opened = self._datasets.open(actor, dataset, Action.WRITE)
        target = branch or opened.dataset.default_branch
        base = self._base(opened, target, condition)
        snapshot = opened.repo.snapshot(base)
        changes, stored = ChangeSet(), []
        for incoming in files:
            path = layout.check_writable(incoming.path)
            self._check_condition(opened, snapshot, path, condition)
            facts = self._take(opened, changes, incoming)
            stored.append((path, facts))
        if not stored:
            raise BadRequestError("there is no file in this request", code="empty")
        existing = {path for path, _ in stored if find_file(snapshot, path)}
        said = message or _described([path for path, _ in stored], existing)
        written = self._write(opened, changes, target, base, said, condition)
        created = tuple(path for path, _ in stored if path not in existing)
        return Written(written.commit, target, written.is_unchanged, created), stored

    def put_form(self, actor: Actor, dataset: int | str, form: FormUpload, files: Iterable[Incoming]) -> None:
        """Store the files of a form and make them one version.

        ``folder``, ``message`` and ``branch`` may come after the files, so all bytes go to the pool
        first, synced together, and paths are made when the form has ended.
        """
        opened = self._datasets.open(actor, dataset, Action.WRITE)
        heads = {branch.name: branch.commit for branch in opened.repo.branches()}
        names: list[str] = []

        def bodies() -> Iterator[Iterable[bytes]]:
            for incoming in files:
                names.append(incoming.path)
                yield incoming.chunks

        stored = opened.pool.receive_all(bodies())
        if not stored:
            raise BadRequestError("the form holds no file; send parts called 'files'", code="empty")
        target = form.branch or opened.dataset.default_branch
        base = heads.get(target) or opened.repo.head(target)
        snapshot = opened.repo.snapshot(base)
        changes = ChangeSet()
        for name, facts in zip(names, stored, strict=True):
            path = layout.check_writable(parse_path(f"{form.folder}/{name}" if form.folder else name))
            put_object(changes, opened.pool, path, facts)
            form.stored.append((path, facts))
        existing = {path for path, _ in form.stored if find_file(snapshot, path)}
        said = form.message or _described([path for path, _ in form.stored], existing)
        written = self._write(opened, changes, target, base, said, NO_CONDITION)
        created = tuple(path for path, _ in form.stored if path not in existing)
        form.written = Written(written.commit, target, written.is_unchanged, created)

    def _take(self, opened: OpenDataset, changes: ChangeSet, incoming: Incoming) -> ObjectFacts:
        """Store one file's bytes and note it in the change set: text in git, all else in the pool."""
        content, chunks = _head(incoming) if _may_be_text(incoming) else (None, incoming.chunks)
        if content is not None and layout.is_text(content):
            changes.write(incoming.path, content)
            digests = digest(content)
            return ObjectFacts(digests.md5, digests.size, digests.sha256, digests.crc32)
        facts = opened.pool.receive(chunks, size=incoming.size)
        changes.put(incoming.path, pointer_of(incoming.path, facts))
        return facts

    def delete(
        self,
        actor: Actor,
        dataset: int | str,
        path: RepoPath,
        *,
        is_recursive: bool = False,
        branch: RefName | None = None,
        message: str | None = None,
        condition: Condition = NO_CONDITION,
    ) -> Written:
        """Remove a file, or a folder if ``is_recursive``, by a new version."""
        opened = self._datasets.open(actor, dataset, Action.WRITE)
        target = branch or opened.dataset.default_branch
        base = self._base(opened, target, condition)
        snapshot = opened.repo.snapshot(base)
        found = snapshot.entry(layout.check_writable(path))
        if found.kind is EntryKind.FOLDER and not is_recursive:
            raise BadRequestError(f"{path!r} is a folder; add recursive=1 to delete it", code="is_folder")
        self._check_condition(opened, snapshot, path, condition)
        changes = ChangeSet()
        changes.remove(path)
        return self._write(opened, changes, target, base, message or f"Delete {path}", condition)

    def commit_actions(
        self,
        actor: Actor,
        dataset: int | str,
        actions: Sequence[FileAction],
        *,
        branch: RefName | None,
        message: str,
        parent: CommitId | None = None,
    ) -> Written:
        """Make one version of several actions.

        Raises:
            BadRequestError: an action contradicts the dataset (create what exists, update what does not).
            TakenError: an action names bytes that the dataset does not hold (code ``bytes_missing``).
        """
        opened = self._datasets.open(actor, dataset, Action.WRITE)
        target = branch or opened.dataset.default_branch
        condition = Condition(parent=parent)
        base = self._base(opened, target, condition)
        snapshot = opened.repo.snapshot(base)
        named = {action.md5 for action in actions if action.md5}
        facts = opened.pool.facts(named) if named else {}
        refuse_missing(opened, [(act.path, act.md5, act.size) for act in actions if act.md5], facts)
        changes = ChangeSet()
        for action in actions:
            self._apply(opened, changes, snapshot, action, facts)
        return self._write(opened, changes, target, base, message, condition)

    def _apply(
        self,
        opened: OpenDataset,
        changes: ChangeSet,
        snapshot: Snapshot,
        action: FileAction,
        facts: Mapping[Md5, ObjectFacts],
    ) -> None:
        path = layout.check_writable(action.path)
        exists = find_file(snapshot, path) is not None
        if action.kind is ActionKind.CREATE and exists and path not in _removed_so_far(changes):
            raise TakenError(f"{path!r} exists already; use the action 'update'", code="file_exists")
        if action.kind is ActionKind.UPDATE and not exists:
            raise PathNotFoundError(f"there is no {path!r} to update", paths=[path])
        if action.kind is ActionKind.DELETE:
            changes.remove(path)
            return
        if action.kind is ActionKind.MOVE:
            if action.previous is None:
                raise BadRequestError(f"moving to {path!r} needs 'previous_path'")
            if exists:
                raise TakenError(f"{path!r} exists already; delete it in the same commit", code="file_exists")
            changes.move(layout.check_writable(action.previous), path)
        if action.content is not None:
            content = action.content
            self._take(opened, changes, Incoming(path, [content], len(content)))
        elif action.md5 is not None:
            put_object(changes, opened.pool, path, facts[action.md5])
        elif action.kind is not ActionKind.MOVE:
            raise BadRequestError(f"{action.kind} {path!r} needs 'content', or 'md5' of bytes sent before")

    def write(
        self, opened: OpenDataset, changes: ChangeSet, *, branch: RefName, base: CommitId, message: str
    ) -> Written:
        """Make a version of a change set that another service drafted."""
        return self._write(opened, changes, branch, base, message, NO_CONDITION)

    def _write(
        self,
        opened: OpenDataset,
        changes: ChangeSet,
        branch: RefName,
        base: CommitId,
        message: str,
        condition: Condition,
    ) -> Written:
        try:
            landed = opened.repo.commit(
                changes,
                branch=branch,
                base=base,
                author=self._datasets.signature(opened.actor),
                message=checked_message(message),
                only_on_base=condition.parent is not None,
            )
        except NothingToCommitError as nothing:
            return Written(CommitId(nothing.head or base), branch, is_unchanged=True)
        except (EditConflictError, RefMovedError) as conflict:
            if condition.is_set:
                raise _lost(conflict) from conflict
            raise
        self.record(opened, landed.commit.id, branch)
        return Written(landed.commit.id, branch, is_unchanged=False)

    def _base(self, opened: OpenDataset, branch: RefName, condition: Condition) -> CommitId:
        head = opened.repo.head(branch)
        if condition.parent is not None and condition.parent != head:
            raise PreconditionError(
                f"the branch {branch!r} is at {head}, not at the parent_commit {condition.parent}",
                code="parent_moved",
            )
        return head

    def _check_condition(
        self, opened: OpenDataset, snapshot: Snapshot, path: RepoPath, condition: Condition
    ) -> None:
        if condition.holds is None:
            return
        found = find_file(snapshot, path)
        if not condition.holds(content_etag(opened, found) if found else None):
            now = "something else" if found else "nothing"
            raise PreconditionError(f"{path!r} holds {now} now; the condition does not hold")

    def record(self, opened: OpenDataset, commit: CommitId, branch: RefName) -> None:
        """Note in the database that a branch got a version, from whichever door."""
        payload = {"dataset": opened.dataset.id, "commit": commit, "branch": branch}
        with self._database.transaction() as connection:
            self._datasets.touch(connection, opened.dataset.id)
            self._jobs.enqueue(connection, COMMITTED, commit, payload)

    # Taking back

    def revert(
        self, actor: Actor, dataset: int | str, ref: RefName | CommitId, *, branch: RefName | None
    ) -> Written:
        """Take back what one version changed, by a new version."""
        opened, target, undone = self._for_revert(actor, dataset, ref, branch)
        message = f'Revert "{undone.title}"\n\nThis takes back {undone.id}.'
        with _revert_conflicts():
            landed = opened.repo.revert(
                undone.id, branch=target, author=self._datasets.signature(actor), message=message
            )
        self.record(opened, landed.commit.id, target)
        return Written(landed.commit.id, target, is_unchanged=False)

    def preview_revert(
        self, actor: Actor, dataset: int | str, ref: RefName | CommitId, *, branch: RefName | None
    ) -> list[Change]:
        """Return what a revert would change, changing nothing."""
        opened, target, undone = self._for_revert(actor, dataset, ref, branch)
        with _revert_conflicts():
            return opened.repo.preview_revert(undone.id, branch=target)

    def _for_revert(
        self, actor: Actor, dataset: int | str, ref: RefName | CommitId, branch: RefName | None
    ) -> tuple[OpenDataset, RefName, Commit]:
        opened = self._datasets.open(actor, dataset, Action.WRITE)
        undone = opened.repo.git.read_commit(opened.repo.resolve(ref))
        return opened, branch or opened.dataset.default_branch, undone

    def restore(
        self,
        actor: Actor,
        dataset: int | str,
        ref: RefName | CommitId,
        path: RepoPath,
        *,
        branch: RefName | None,
        message: str | None = None,
    ) -> Written:
        """Make a file, a folder or everything as it was at ``ref``, by a new version."""
        opened, target, source = self._for_restore(actor, dataset, ref, path, branch)
        what = path or "everything"
        landed = opened.repo.restore(
            source,
            path,
            branch=target,
            author=self._datasets.signature(actor),
            message=checked_message(message or f"Restore {what} to {ref}\n\nAs it was at {source}."),
        )
        self.record(opened, landed.commit.id, target)
        return Written(landed.commit.id, target, is_unchanged=False)

    def preview_restore(
        self,
        actor: Actor,
        dataset: int | str,
        ref: RefName | CommitId,
        path: RepoPath,
        *,
        branch: RefName | None,
    ) -> list[Change]:
        """Return what a restore would change, changing nothing."""
        opened, target, source = self._for_restore(actor, dataset, ref, path, branch)
        return opened.repo.preview_restore(source, path, branch=target)

    def _for_restore(
        self,
        actor: Actor,
        dataset: int | str,
        ref: RefName | CommitId,
        path: RepoPath,
        branch: RefName | None,
    ) -> tuple[OpenDataset, RefName, CommitId]:
        opened = self._datasets.open(actor, dataset, Action.WRITE)
        if path != ROOT:
            layout.check_writable(path)
        return opened, branch or opened.dataset.default_branch, opened.repo.resolve(ref)

    # History

    def log(
        self,
        actor: Actor,
        dataset: int | str,
        *,
        ref: RefName | CommitId | None = None,
        path: RepoPath = ROOT,
        author: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[OpenDataset, CommitId, Iterator[Version]]:
        """Return versions, newest first, as an iterator that computes each one's sums when it is reached."""
        opened = self._datasets.open(actor, dataset, Action.READ)
        start = opened.repo.resolve(ref or opened.dataset.default_branch)
        wanted = (
            commit
            for commit in opened.repo.log(start, path=path)
            if _is_by(commit, author)
            and (since is None or commit.committer.when >= since)
            and (until is None or commit.committer.when <= until)
        )
        return opened, start, (Version(commit, self.stats(opened, commit)) for commit in wanted)

    def version(
        self, actor: Actor, dataset: int | str, ref: RefName | CommitId
    ) -> tuple[OpenDataset, Version]:
        """Return one version."""
        opened = self._datasets.open(actor, dataset, Action.READ)
        commit = opened.repo.git.read_commit(opened.repo.resolve(ref))
        return opened, Version(commit, self.stats(opened, commit))

    def stats(self, opened: OpenDataset, commit: Commit) -> Stats:
        """Return a version's sums against its first parent; computed once per pair of commits."""
        parent = commit.parents[0] if commit.parents else None

        def compute() -> bytes:
            found = Stats.of(opened.repo.diff(parent, commit.id))
            amounts = (found.added, found.removed, found.changed)
            return orjson.dumps([[amount.files, amount.size] for amount in amounts])

        address = f"{commit.id}-{parent or 'nothing'}-{opened.dataset.id}"
        rows = orjson.loads(self._cache.get_or_make("stats-v1", address, compute))
        return Stats(*(Amount(files, size) for files, size in rows))

    def changes(
        self, actor: Actor, dataset: int | str, ref: RefName | CommitId
    ) -> tuple[OpenDataset, Comparison]:
        """Return what one version changed against its first parent."""
        opened = self._datasets.open(actor, dataset, Action.READ)
        commit = opened.repo.git.read_commit(opened.repo.resolve(ref))
        parent = commit.parents[0] if commit.parents else None
        return opened, self._compare(opened, parent, commit.id)

    def compare(
        self,
        actor: Actor,
        dataset: int | str,
        old: RefName | CommitId,
        new: RefName | CommitId,
    ) -> tuple[OpenDataset, Comparison]:
        """Return everything that differs between two versions."""
        opened = self._datasets.open(actor, dataset, Action.READ)
        return opened, self._compare(opened, opened.repo.resolve(old), opened.repo.resolve(new))

    def _compare(self, opened: OpenDataset, old: CommitId | None, new: CommitId) -> Comparison:
        def compute() -> Comparison:
            changes = []
            for change in opened.repo.diff(old, new):
                changes.append(change)
                if len(changes) > _MAX_COMPARED:
                    raise BadRequestError(
                        f"more than {_MAX_COMPARED} files differ; compare the manifests instead"
                    )
            return compared(old, new, changes)

        return self._comparisons.get_or_make((f"{opened.dataset.id}-{old}", new), compute)

    # Names

    def tags(self, actor: Actor, dataset: int | str) -> list[Tag]:
        """Return all tags, newest version number first."""
        return self._datasets.open(actor, dataset, Action.READ).repo.tags()

    def create_tag(
        self, actor: Actor, dataset: int | str, name: RefName, ref: RefName | CommitId, *, notes: str | None
    ) -> Tag:
        """Name a version; with notes it is a release and never moves."""
        opened = self._datasets.open(actor, dataset, Action.WRITE)
        commit = opened.repo.resolve(ref)
        return opened.repo.tag(name, commit, author=self._datasets.signature(actor), notes=notes)

    def delete_tag(self, actor: Actor, dataset: int | str, name: RefName) -> None:
        """Remove a tag; a release needs a maintainer, and its name stays given."""
        opened = self._datasets.open(actor, dataset, Action.WRITE)
        found = opened.repo.git.find_tag(name)
        if found and found.is_release:
            opened = self._datasets.open(actor, dataset, Action.MAINTAIN)
        opened.repo.delete_tag(name)

    def branches(self, actor: Actor, dataset: int | str) -> tuple[OpenDataset, list[Branch]]:
        """Return all branches."""
        opened = self._datasets.open(actor, dataset, Action.READ)
        return opened, opened.repo.branches()

    def create_branch(
        self, actor: Actor, dataset: int | str, name: RefName, ref: RefName | CommitId
    ) -> Branch:
        """Start a branch at a version."""
        opened = self._datasets.open(actor, dataset, Action.WRITE)
        return opened.repo.create_branch(name, opened.repo.resolve(ref))

    def delete_branch(self, actor: Actor, dataset: int | str, name: RefName) -> None:
        """Remove a branch; its versions stay readable by their ids."""
        self._datasets.open(actor, dataset, Action.WRITE).repo.delete_branch(name)

    # Jobs

    def after_commit(self, dataset: DatasetId) -> None:
        """Keep reads flat: join packs once enough of them have piled up."""
        opened = self._datasets.open_for_upkeep(dataset)
        if opened.repo.git.pack_count() >= _PACKS_BEFORE_MAINTENANCE:
            self._jobs.enqueue(None, MAINTAIN, str(dataset), {"dataset": dataset})

    def maintain(self, dataset: DatasetId) -> None:
        """Run git's upkeep on one dataset's repository."""
        opened = self._datasets.open_for_upkeep(dataset)
        opened.repo.git.sweep_stale_locks(now=self._clock())
        opened.repo.git.maintain(timeout_s=self._git_timeout_s * 10)


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
        return entry.pointer.md5
    assert entry.blob is not None
    return digest(opened.repo.git.read(entry.blob).content).md5


def pointer_of(path: RepoPath, facts: ObjectFacts) -> Pointer:
    """Return the pointer that a path gets for an object, with everything that the ledger knows."""
    meta = PointerMeta(sha256=facts.sha256, crc32=facts.crc32, media_type=media_type(path))
    return Pointer(md5=facts.address, size=facts.size, meta=meta)


def put_object(changes: ChangeSet, pool: Pool, path: RepoPath, facts: ObjectFacts) -> None:
    """Note a file whose bytes are in the pool; small text moves into git."""
    if layout.kept_in_git(path, facts.size):
        with pool.open(facts.address) as stream:
            content = stream.read()
        if layout.is_text(content):
            changes.write(path, content)
            return
    changes.put(path, pointer_of(path, facts))


def refuse_missing(
    opened: OpenDataset,
    named: Sequence[tuple[RepoPath, Md5, int | None]],
    facts: Mapping[Md5, ObjectFacts],
) -> None:
    """Refuse a change that names bytes which the dataset does not hold, path by path.

    Raises:
        BytesMissingError: with every such path.
    """
    missing = []
    for path, md5, size in named:
        held = facts.get(md5)
        if held is None or held.damaged_at is not None or (size is not None and size != held.size):
            missing.append(path)
    if missing:
        raise BytesMissingError(
            f"{opened.dataset.full_path} does not hold the bytes of {len(missing)} file(s), "
            f"{missing[0]!r} first; send them before the commit",
            paths=missing,
        )


class RevertConflictError(InvalidError):
    """Later versions changed the same paths; as in GitLab, this is a bad request, not a lost race."""

    code = "conflict"


@contextmanager
def _revert_conflicts() -> Iterator[None]:
    try:
        yield
    except EditConflictError as conflict:
        raise RevertConflictError(
            f"later versions changed the same files; restore what you need instead: {conflict}",
            paths=conflict.paths,
        ) from conflict


class BytesMissingError(EditConflictError):
    """A change names bytes that were never stored for this dataset."""

    code = "bytes_missing"


def checked_message(message: str) -> str:
    """Return a commit message that git can hold. Raises BadRequestError."""
    text = message.strip()
    if not text:
        raise BadRequestError("a version needs a message", code="message_missing")
    if len(text) > MAX_MESSAGE or "\0" in text:
        raise BadRequestError(f"a message has at most {MAX_MESSAGE} characters and no NUL")
    return text


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


def _removed_so_far(changes: ChangeSet) -> set[RepoPath]:
    return {path for path, edit in changes.edits.items() if isinstance(edit, Remove)}


def _described(paths: Sequence[RepoPath], existing: set[RepoPath]) -> str:
    if len(paths) == 1:
        return f"{'Replace' if paths[0] in existing else 'Add'} {paths[0]}"
    return f"Upload {len(paths)} files"


def _lost(conflict: EditConflictError | RefMovedError) -> PreconditionError:
    return PreconditionError(f"the condition does not hold any more: {conflict}")


def _is_by(commit: Commit, author: str | None) -> bool:
    if not author:
        return True
    wanted = author.casefold()
    return wanted in commit.author.name.casefold() or wanted == commit.author.email.casefold()
