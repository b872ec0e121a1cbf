"""Uploads: many and large files, resumable, one version at the end."""

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from app.access import Action, Actor
from app.datasets.models import ObjectFacts
from app.datasets.pool import ReceivedMany
from app.datasets.service import DatasetService, OpenDataset
from app.db import Database
from app.errors import BadRequestError, GoneError, MissingError
from app.versions import store
from app.versions.intake import put_object, refuse_missing
from app.versions.models import (
    MAX_DECLARED,
    DeclaredFile,
    Outcome,
    Upload,
    UploadId,
    UploadProgress,
    UploadState,
    Written,
)
from app.versions.service import VersionService
from gitops import layout
from gitops.changes import ChangeSet
from gitops.errors import ObjectClashError
from gitops.model import Md5, RefName, is_md5
from gitops.objects import SignedPut

_SIGNED_FOR_S = 900
_MISSING_SHOWN = 1000
_BATCH = 1000
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Transfer:
    """What is still to be sent for a declared file; ``signed`` where the site takes it directly."""

    file: DeclaredFile
    is_present: bool
    signed: SignedPut | None


class UploadService:
    """Opens uploads, takes their bytes, and makes each one version."""

    def __init__(
        self,
        *,
        datasets: DatasetService,
        versions: VersionService,
        database: Database,
        clock: Callable[[], datetime],
        days: int,
    ) -> None:
        self._datasets = datasets
        self._versions = versions
        self._database = database
        self._clock = clock
        self._kept = timedelta(days=days)

    def open(self, actor: Actor, dataset: int | str, *, branch: RefName | None = None) -> Upload:
        """Begin an upload; conflicts will be judged against the branch as it is now."""
        opened = self._datasets.open(actor, dataset, Action.WRITE)
        assert opened.pool is not None
        assert actor.user is not None
        target = branch or opened.dataset.default_branch
        opened.check_branch(target)
        upload = Upload(
            id=UploadId(secrets.token_hex(16)),
            dataset_id=opened.dataset.id,
            user_id=actor.user,
            branch=target,
            base=opened.repo.head(target),
            state=UploadState.OPEN,
            expires_at=self._clock() + self._kept,
        )
        with self._database.transaction() as connection:
            store.insert_upload(connection, upload)
        return upload

    def declare(
        self, actor: Actor, dataset: int | str, upload_id: str, files: Sequence[DeclaredFile]
    ) -> list[Transfer]:
        """Say which files will come; the answer says for each whether its bytes are needed.

        Raises:
            ObjectClashError: the dataset holds other bytes with the MD5 of one of them.
        """
        opened, upload = self._find(actor, dataset, upload_id)
        if len(files) > MAX_DECLARED:
            raise BadRequestError(f"declare at most {MAX_DECLARED} files in one request")
        for file in files:
            layout.check_writable(file.path)
        facts = opened.pool.facts({file.md5 for file in files})
        _refuse_clashes(files, facts)
        latest = {file.path: file for file in files}
        with self._database.transaction() as connection:
            store.declare(connection, upload.id, list(latest.values()))
            store.prolong(connection, upload.id, self._clock() + self._kept)
        return [
            self._transfer(opened, file, is_present=file.claim.is_held(facts.get(file.md5))) for file in files
        ]

    def _transfer(self, opened: OpenDataset, file: DeclaredFile, *, is_present: bool) -> Transfer:
        signed = None
        if not is_present:
            signed = opened.pool.store.presign_put(file.md5, file.size, seconds=_SIGNED_FOR_S)
        return Transfer(file, is_present, signed)

    def progress(self, actor: Actor, dataset: int | str, upload_id: str) -> UploadProgress:
        """Return where an upload stands and what it still waits for."""
        opened, upload = self._find(actor, dataset, upload_id, is_finished_fine=True)
        if upload.outcome:
            return UploadProgress(upload, upload.outcome.files, upload.outcome.size, 0)
        shown: list[DeclaredFile] = []
        count = 0
        with self._database.reading() as connection:
            files, size = store.sums(connection, upload.id)
            declared = store.declared(connection, upload.id)
            while batch := list(islice(declared, _BATCH)):
                facts = opened.pool.facts({file.md5 for file in batch})
                missing = [file for file in batch if not file.claim.is_held(facts.get(file.md5))]
                count += len(missing)
                shown += missing[: _MISSING_SHOWN - len(shown)]
        return UploadProgress(upload, files, size, count, tuple(shown))

    def receive(
        self, actor: Actor, dataset: int | str, upload_id: str, md5: Md5, chunks: Iterable[bytes]
    ) -> bool:
        """Take the bytes of one declared object; return whether they were new.

        Raises:
            MissingError: no declared file has this MD5.
            DigestMismatchError: the bytes are not what the address or the declared size says.
        """
        opened, upload = self._find(actor, dataset, upload_id)
        with self._database.reading() as connection:
            file = store.find_declared(connection, upload.id, md5)
        if file is None:
            raise MissingError(f"no file of this upload was declared with the MD5 {md5}")
        # Bytes that are there already are read and checked all the same: others may have their MD5.
        is_new = bool(opened.pool.missing([md5]))
        opened.pool.receive(chunks, size=file.size, address=md5)
        self._prolong(upload)
        return is_new

    def receive_many(
        self,
        actor: Actor,
        dataset: int | str,
        upload_id: str,
        parts: Iterable[tuple[Md5, Iterable[bytes]]],
    ) -> ReceivedMany:
        """Take many small objects with one sync; wrong or undeclared ones are named, the others kept."""
        opened, upload = self._find(actor, dataset, upload_id)
        misnamed: list[tuple[Md5, str]] = []

        def named() -> Iterator[tuple[Md5, Iterable[bytes]]]:
            for md5, chunks in parts:
                if is_md5(md5):
                    yield md5, chunks
                else:
                    misnamed.append((Md5(md5[:_SHOWN]), "a part is named by the MD5 of its bytes"))

        received = opened.pool.receive_many(named(), only=partial(self._declared, upload.id))
        self._prolong(upload)
        return ReceivedMany(received.stored, (*received.refused, *misnamed))

    def _declared(self, upload: UploadId, md5s: Collection[Md5]) -> set[Md5]:
        with self._database.reading() as connection:
            return store.declared_among(connection, upload, md5s)

    def commit(
        self,
        actor: Actor,
        dataset: int | str,
        upload_id: str,
        *,
        message: str | None,
        branch: RefName | None = None,
    ) -> tuple[Written, int, int]:
        """Make one version of everything declared; return it with files and bytes.

        Repeating it after success answers the same version.
        """
        opened, upload = self._find(actor, dataset, upload_id, is_finished_fine=True)
        if upload.outcome is not None:
            return _answer(upload.outcome)
        target = branch or upload.branch
        base = upload.base if target == upload.branch else opened.repo.head(target)
        with self._database.reading() as connection:
            files = list(store.declared(connection, upload.id))
        if not files:
            return self._committed_meanwhile(actor, dataset, upload_id)
        changes = self._changes(opened, files)
        said = message or (f"Add {files[0].path}" if len(files) == 1 else f"Upload {len(files)} files")
        written = self._versions.write(opened, changes, branch=target, base=base, message=said)
        size = sum(file.size for file in files)
        outcome = Outcome(written.commit, target, written.is_unchanged, len(files), size)
        with self._database.transaction() as connection:
            is_first = store.finish(connection, upload.id, outcome)
        return _answer(outcome) if is_first else self._committed_meanwhile(actor, dataset, upload_id)

    def _committed_meanwhile(
        self, actor: Actor, dataset: int | str, upload_id: str
    ) -> tuple[Written, int, int]:
        """Return what another request made of the same upload at the same time.

        Raises:
            BadRequestError: there was none; nothing was ever declared.
        """
        _, upload = self._find(actor, dataset, upload_id, is_finished_fine=True)
        if upload.outcome is None:
            raise BadRequestError("this upload declares no file", code="empty")
        return _answer(upload.outcome)

    def _changes(self, opened: OpenDataset, files: Sequence[DeclaredFile]) -> ChangeSet:
        facts = opened.pool.facts({file.md5 for file in files})
        refuse_missing(opened, [file.claim for file in files], facts)
        changes = ChangeSet()
        for file in files:
            put_object(changes, opened.pool, file.path, facts[file.md5])
        return changes

    def abandon(self, actor: Actor, dataset: int | str, upload_id: str) -> None:
        """Give an upload up; bytes that no version needs are collected later."""
        _, upload = self._find(actor, dataset, upload_id, is_finished_fine=True)
        if upload.state is UploadState.OPEN:
            with self._database.transaction() as connection:
                store.abandon(connection, upload.id)

    def expire(self) -> int:
        """Forget uploads without traffic for too long; return how many."""
        with self._database.transaction() as connection:
            return store.delete_expired(connection, self._clock())

    def _prolong(self, upload: Upload) -> None:
        with self._database.transaction() as connection:
            store.prolong(connection, upload.id, self._clock() + self._kept)

    def _find(
        self, actor: Actor, dataset: int | str, upload_id: str, *, is_finished_fine: bool = False
    ) -> tuple[OpenDataset, Upload]:
        opened = self._datasets.open(actor, dataset, Action.WRITE)
        upload = None
        if is_md5(upload_id):  # 32 hexadecimal digits are what an id is made of, too
            with self._database.reading() as connection:
                upload = store.find_upload(connection, opened.dataset.id, upload_id)
        if upload is None or (upload.user_id != actor.user and not actor.is_admin):
            raise MissingError(
                f"there is no upload {upload_id[:40]!r}; it may have expired", code="upload_not_found"
            )
        if upload.expires_at < self._clock() or upload.state is UploadState.ABANDONED:
            raise GoneError("this upload has expired or was given up; begin a new one", code="upload_expired")
        if upload.state is UploadState.COMMITTED and not is_finished_fine:
            raise GoneError("this upload is committed already; begin a new one", code="upload_committed")
        return opened, upload


def _answer(outcome: Outcome) -> tuple[Written, int, int]:
    return Written(outcome.commit, outcome.branch, outcome.is_unchanged), outcome.files, outcome.size


def _refuse_clashes(files: Sequence[DeclaredFile], facts: Mapping[Md5, ObjectFacts]) -> None:
    clashes = [
        file.path for file in files if file.md5 in facts and not file.claim.agrees_with(facts[file.md5])
    ]
    if clashes:
        raise ObjectClashError(
            f"the dataset holds other bytes with the MD5 of {clashes[0]!r}: its size or SHA-256 differs",
            paths=clashes,
        )
