"""Tables of uploads in flight."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from app.access import UserId
from app.datasets.models import DatasetId
from app.db import Connection, UtcDateTime, metadata
from app.versions.models import DeclaredFile, Outcome, Upload, UploadId, UploadState
from gitops.model import CommitId, Md5, RefName, RepoPath

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("dataset_id", Integer, ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("user_id", Integer, nullable=False),
    Column("branch", String(255), nullable=False),
    Column("base", String(40), nullable=False),
    Column("state", String(16), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("commit_id", String(40)),
    Column("is_unchanged", Boolean),
    Column("files", Integer),
    Column("size", BigInteger),
)

upload_files = Table(
    "upload_files",
    metadata,
    Column("upload_id", String(32), ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("path", Text, primary_key=True),
    Column("md5", String(32), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64)),
    Index("ix_upload_files_md5", "upload_id", "md5"),
)


def insert_upload(connection: Connection, upload: Upload) -> None:
    """Add an upload."""
    connection.execute(
        insert(uploads).values(
            id=upload.id,
            dataset_id=upload.dataset_id,
            user_id=upload.user_id,
            branch=upload.branch,
            base=upload.base,
            state=upload.state.value,
            expires_at=upload.expires_at,
        )
    )


def find_upload(connection: Connection, dataset_id: DatasetId, upload_id: str) -> Upload | None:
    """Return an upload of this dataset or None."""
    query = select(uploads).where(uploads.c.id == upload_id, uploads.c.dataset_id == dataset_id)
    row = connection.execute(query).one_or_none()
    return _upload(row) if row else None


def declare(connection: Connection, upload_id: UploadId, files: Sequence[DeclaredFile]) -> None:
    """Enter files; a path declared again takes the new content."""
    paths = [file.path for file in files]
    for start in range(0, len(paths), 500):
        connection.execute(
            delete(upload_files).where(
                upload_files.c.upload_id == upload_id, upload_files.c.path.in_(paths[start : start + 500])
            )
        )
    connection.execute(
        insert(upload_files),
        [
            {
                "upload_id": upload_id,
                "path": file.path,
                "md5": file.md5,
                "size": file.size,
                "sha256": file.sha256,
            }
            for file in files
        ],
    )


_DECLARED = (
    select(upload_files)
    .where(upload_files.c.upload_id == bindparam("upload"), upload_files.c.md5 == bindparam("md5"))
    .limit(1)
)


def find_declared(connection: Connection, upload_id: UploadId, md5: str) -> DeclaredFile | None:
    """Return one file that was declared with these bytes, or None."""
    row = connection.execute(_DECLARED, {"upload": upload_id, "md5": md5}).one_or_none()
    return _file(row) if row else None


def declared_among(connection: Connection, upload_id: UploadId, md5s: Collection[Md5]) -> set[Md5]:
    """Return those of the MD5s with which a file was declared."""
    asked, found = list(md5s), set[Md5]()
    for start in range(0, len(asked), 500):
        query = select(upload_files.c.md5).where(
            upload_files.c.upload_id == upload_id, upload_files.c.md5.in_(asked[start : start + 500])
        )
        found.update(Md5(md5) for md5 in connection.execute(query).scalars())
    return found


def declared(connection: Connection, upload_id: UploadId) -> Iterator[DeclaredFile]:
    """Yield every declared file, sorted by path."""
    query = select(upload_files).where(upload_files.c.upload_id == upload_id).order_by(upload_files.c.path)
    for row in connection.execute(query):
        yield _file(row)


def sums(connection: Connection, upload_id: UploadId) -> tuple[int, int]:
    """Return how many files were declared and their bytes."""
    query = select(func.count(), func.coalesce(func.sum(upload_files.c.size), 0)).where(
        upload_files.c.upload_id == upload_id
    )
    count, size = connection.execute(query).one()
    return int(count), int(size)


def prolong(connection: Connection, upload_id: UploadId, expires_at: datetime) -> None:
    """Move the moment at which an upload expires."""
    connection.execute(update(uploads).where(uploads.c.id == upload_id).values(expires_at=expires_at))


def finish(connection: Connection, upload_id: UploadId, outcome: Outcome) -> bool:
    """Close an upload with what it came to; False if it was closed before, which stands."""
    values = {
        "state": UploadState.COMMITTED.value,
        "commit_id": outcome.commit,
        "branch": outcome.branch,
        "is_unchanged": outcome.is_unchanged,
        "files": outcome.files,
        "size": outcome.size,
    }
    return _close(connection, upload_id, values)


def abandon(connection: Connection, upload_id: UploadId) -> bool:
    """Close an upload that will not be committed; False if it was closed before."""
    return _close(connection, upload_id, {"state": UploadState.ABANDONED.value})


def _close(connection: Connection, upload_id: UploadId, values: Mapping[str, Any]) -> bool:
    """Leave the open state once; the declared files are no longer needed then."""
    done = connection.execute(
        update(uploads)
        .where(uploads.c.id == upload_id, uploads.c.state == UploadState.OPEN.value)
        .values(**values)
    )
    if done.rowcount:
        connection.execute(delete(upload_files).where(upload_files.c.upload_id == upload_id))
    return bool(done.rowcount)


def delete_expired(connection: Connection, now: datetime) -> int:
    """Remove uploads whose time is over; return how many."""
    return int(connection.execute(delete(uploads).where(uploads.c.expires_at < now)).rowcount)


def _upload(row: Row[Any]) -> Upload:
    return Upload(
        id=UploadId(row.id),
        dataset_id=DatasetId(row.dataset_id),
        user_id=UserId(row.user_id),
        branch=RefName(row.branch),
        base=CommitId(row.base),
        state=UploadState(row.state),
        expires_at=row.expires_at,
        outcome=_outcome(row) if row.commit_id else None,
    )


def _outcome(row: Row[Any]) -> Outcome:
    return Outcome(CommitId(row.commit_id), RefName(row.branch), row.is_unchanged, row.files, row.size)


def _file(row: Row[Any]) -> DeclaredFile:
    return DeclaredFile(RepoPath(row.path), Md5(row.md5), row.size, row.sha256)
