"""Write ``versions/0001_first_schema.py`` anew from the declared tables and triggers.

For use until the first release only; from then on schemas change by further migrations.
Run ``python -m app.db.migrations.regenerate``, then ``ruff format`` on the result.
"""

import tempfile
from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext

import app.services  # noqa: F401  every feature declares its tables
from app.db import Database, metadata

FILE = Path(__file__).parent / "versions" / "0001_first_schema.py"
HEAD = '''"""First schema."""

import sqlalchemy as sa
from alembic import op

import app.db.types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TRIGGERS = {triggers}


def upgrade() -> None:
    """Create every table and trigger."""
'''
TAIL = """
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)
"""


def written() -> str:
    """Return the migration's text."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/empty.db")
        with database.reading() as connection:
            context = MigrationContext.configure(connection, opts={"render_as_batch": False})
            operations = produce_migrations(context, metadata).upgrade_ops
        database.close()
    assert operations is not None
    rendered = render_python_code(operations, render_as_batch=False).splitlines()
    body = "\n".join(line for line in rendered if not line.strip().startswith("# ###"))
    triggers = metadata.info.get("triggers", {})
    shown = {
        dialect: [triggers[name][dialect] for name in sorted(triggers)]
        for dialect in ("sqlite", "postgresql")
    }
    return HEAD.format(triggers=repr(shown)) + "    " + body.strip() + "\n" + TAIL


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
