"""Alembic's entry: runs migrations on the engine that the service opened."""

from alembic import context

from app.db import metadata

engine = context.config.attributes["engine"]
with engine.connect() as connection:
    connection.execution_options(cairn_begin="IMMEDIATE")
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
