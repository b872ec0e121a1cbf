"""First schema."""

from alembic import op
from sqlalchemy import text

from app.db import declared_triggers, metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table and trigger."""
    connection = op.get_bind()
    metadata.create_all(connection)
    for statement in declared_triggers(connection.dialect.name):
        connection.execute(text(statement))
