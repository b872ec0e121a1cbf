"""Versions: write content as one commit, and take versions back.

Effects come in one order everywhere: bytes durable, then the commit, then the database.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from app.access import Action, Actor
from app.datasets.models import DatasetId, ObjectFacts
from app.datasets.service import DatasetService, OpenDataset
from app.db import Database
from app.errors import BadRequestError, PreconditionError
from app.jobs import Jobs
from app.versions.actions import ActionPlan
from app.versions.intake import (
    NO_CONDITION,
    BytesMissingError,
    Condition,
    FormUpload,
    Incoming,
    checked_message,
    content_etag,
    described,
    find_file,
    put_object,
    refuse_missing,
    take,
)
from app.versions.models import Claim, FileAction, Written
from gitops import layout, upkeep
from gitops.changes import ChangeSet
from gitops.errors import EditConflictError, InvalidError, NothingToCommitError, RefMovedError
from gitops.model import (
    ROOT,
    Change,
    Commit,
    CommitId,
    EntryKind,
    RefName,
    RepoPath,
    parse_path,
)
from gitops.snapshot import Snapshot

__all__ = [
    "COMMITTED",
    "MAINTAIN",
    "NO_CONDITION",
    "BytesMissingError",
    "Condition",
    "FormUpload",
    "Incoming",
    "RevertConflictError",
    "VersionService",
    "content_etag",
    "find_file",
    "put_object",
    "refuse_missing",
]

COMMITTED = "version.committed"
MAINTAIN = "git.maintain"
SWEEP = "leftovers.sweep"
_PACKS_BEFORE_MAINTENANCE = 40
_STAGED_FOR = timedelta(days=1)


class VersionService:
    """Writes the versions of datasets."""

    def __init__(
        self,
        *,
        datasets: DatasetService,
        database: Database,
        jobs: Jobs,
        clock: Callable[[], datetime],
        git_timeout_s: int,
    ) -> None:
        self._datasets = datasets
        self._database = database
        self._jobs = jobs
        self._clock = clock
        self._git_timeout_s = git_timeout_s

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
            stored.append((path, take(opened, changes, incoming)))
        if not stored:
            raise BadRequestError("there is no file in this request", code="empty")
        existing = {path for path, _ in stored if find_file(snapshot, path)}
        said = message or described([path for path, _ in stored], existing)
        written = self._write(opened, changes, target, base, message=said, condition=condition)
        if written.is_unchanged:
            # Somebody else may have made it so meanwhile, which the condition may not allow.
            now = opened.repo.snapshot(written.commit)
            for path, _ in stored:
                self._check_condition(opened, now, path, condition)
            return written, stored
        created = tuple(dict.fromkeys(path for path, _ in stored if path not in existing))
        return Written(written.commit, target, is_unchanged=False, created=created), stored

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
        opened.check_branch(target)
        base = heads.get(target) or opened.repo.head(target)
        snapshot = opened.repo.snapshot(base)
        changes = ChangeSet()
        for name, facts in zip(names, stored, strict=True):
            path = layout.check_writable(parse_path(f"{form.folder}/{name}" if form.folder else name))
            put_object(changes, opened.pool, path, facts)
            form.stored.append((path, facts))
        existing = {path for path, _ in form.stored if find_file(snapshot, path)}
        said = form.message or described([path for path, _ in form.stored], existing)
        written = self._write(opened, changes, target, base, message=said)
        created = (
            () if written.is_unchanged else tuple(path for path, _ in form.stored if path not in existing)
        )
        form.written = Written(written.commit, target, written.is_unchanged, created)

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
        return self._write(
            opened, changes, target, base, message=message or f"Delete {path}", condition=condition
        )

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
            TakenError: an action creates what exists (code ``file_exists``).
            PathNotFoundError: an action updates, deletes or moves what does not exist.
            BytesMissingError: actions name bytes that the dataset does not hold.
        """
        opened = self._datasets.open(actor, dataset, Action.WRITE)
        target = branch or opened.dataset.default_branch
        condition = Condition(parent=parent)
        base = self._base(opened, target, condition)
        snapshot = opened.repo.snapshot(base)
        claims = [Claim(act.path, act.md5, act.size) for act in actions if act.md5]
        facts = opened.pool.facts({claim.md5 for claim in claims}) if claims else {}
        refuse_missing(opened, claims, facts)
        changes = ActionPlan(opened, snapshot, facts).changes(actions)
        return self._write(opened, changes, target, base, message=message, condition=condition)

    def write(
        self, opened: OpenDataset, changes: ChangeSet, *, branch: RefName, base: CommitId, message: str
    ) -> Written:
        """Make a version of a change set that another service drafted."""
        return self._write(opened, changes, branch, base, message=message)

    def _write(
        self,
        opened: OpenDataset,
        changes: ChangeSet,
        branch: RefName,
        base: CommitId,
        *,
        message: str,
        condition: Condition = NO_CONDITION,
    ) -> Written:
        opened.check_branch(branch)
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
        opened.check_branch(branch)
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
        """Note in the database that a branch got a version, from whichever door.

        One waiting job a dataset is enough, however many versions land before it runs: what follows
        a commit looks at the dataset as it then is.
        """
        payload = {"dataset": opened.dataset.id, "commit": commit, "branch": branch}
        with self._database.transaction() as connection:
            self._datasets.touch(connection, opened.dataset.id)
            self._jobs.enqueue(connection, COMMITTED, str(opened.dataset.id), payload)

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
        target = branch or opened.dataset.default_branch
        opened.check_branch(target)
        return opened, target, opened.repo.git.read_commit(opened.repo.resolve(ref))

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
        target = branch or opened.dataset.default_branch
        opened.check_branch(target)
        if path != ROOT:
            layout.check_writable(path)
        return opened, target, opened.repo.resolve(ref)

    # Jobs

    def after_commit(self, dataset: DatasetId) -> None:
        """Keep reads flat: join packs once enough of them have piled up."""
        opened = self._datasets.open_for_upkeep(dataset)
        if upkeep.pack_count(opened.repo.git) >= _PACKS_BEFORE_MAINTENANCE:
            self._jobs.enqueue(None, MAINTAIN, str(dataset), {"dataset": dataset})

    def sweep_leftovers(self) -> None:
        """Remove what killed processes left behind: git's locks, half a pack, half a file."""
        now = self._clock()
        for dataset in self._datasets.all_ids():
            opened = self._datasets.open_for_upkeep(dataset)
            upkeep.sweep_stale_locks(opened.repo.git, now=now)
            if opened.found_pool:
                opened.found_pool.store.sweep_staging(before=now - _STAGED_FOR)

    def maintain(self, dataset: DatasetId) -> None:
        """Run git's upkeep on one dataset's repository."""
        opened = self._datasets.open_for_upkeep(dataset)
        upkeep.sweep_stale_locks(opened.repo.git, now=self._clock())
        upkeep.maintain(opened.repo.git, timeout_s=self._git_timeout_s * 10)


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


def _lost(conflict: EditConflictError | RefMovedError) -> PreconditionError:
    return PreconditionError(f"the condition does not hold any more: {conflict}")
