"""The table of pins, and the queries on it."""

from typing import Any

from sqlalchemy import Column, ForeignKey, Integer, Row, String, Table, insert, select

from app.access import UserId
from app.datasets.models import DatasetId
from app.db import Connection, Select, UtcDateTime, metadata
from app.projects.models import Pin, Template
from gitops.model import CommitId

project_pins = Table(
    "project_pins",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("project_id", Integer, ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("dataset_id", Integer, ForeignKey("datasets.id", ondelete="SET NULL"), index=True),
    Column("dataset_path", String(400), nullable=False),
    Column("ref", String(255), nullable=False),
    Column("commit_id", String(40), nullable=False),
    Column("template", String(16), nullable=False),
    Column("created_by", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)


def insert_pin(connection: Connection, project: DatasetId, pin: Pin) -> None:
    """Note what a project was started from."""
    connection.execute(
        insert(project_pins).values(
            project_id=project,
            dataset_id=pin.dataset_id,
            dataset_path=pin.dataset_path,
            ref=pin.ref,
            commit_id=pin.commit,
            template=pin.template.value,
            created_by=pin.created_by,
            created_at=pin.created_at,
        )
    )


def pins(connection: Connection, project: DatasetId) -> list[Pin]:
    """Return what a project pins, in the order it was pinned."""
    query = select(project_pins).where(project_pins.c.project_id == project).order_by(project_pins.c.id)
    return [_pin(row) for row in connection.execute(query)]


def projects_of(dataset: DatasetId) -> Select[tuple[int]]:
    """Return a query for the ids of the projects that pin a dataset."""
    return select(project_pins.c.project_id).where(project_pins.c.dataset_id == dataset)


def _pin(row: Row[Any]) -> Pin:
    return Pin(
        dataset_id=DatasetId(row.dataset_id) if row.dataset_id is not None else None,
        dataset_path=row.dataset_path,
        ref=row.ref,
        commit=CommitId(row.commit_id),
        template=Template(row.template),
        created_by=UserId(row.created_by),
        created_at=row.created_at,
    )
