"""First schema."""

import sqlalchemy as sa
from alembic import op

import app.db.types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TRIGGERS = {'sqlite': ["\n        CREATE TRIGGER datasets_site_is_immutable BEFORE UPDATE OF site_id ON datasets\n        WHEN OLD.site_id IS NOT NULL AND NEW.site_id IS NOT OLD.site_id\n        BEGIN SELECT RAISE(ABORT, 'a dataset keeps its storage site'); END\n    "], 'postgresql': ["\n        CREATE FUNCTION datasets_keep_site() RETURNS trigger LANGUAGE plpgsql AS $$\n        BEGIN RAISE EXCEPTION 'a dataset keeps its storage site'; END $$;\n        CREATE TRIGGER datasets_site_is_immutable BEFORE UPDATE OF site_id ON datasets FOR EACH ROW\n        WHEN (OLD.site_id IS NOT NULL AND NEW.site_id IS DISTINCT FROM OLD.site_id)\n        EXECUTE FUNCTION datasets_keep_site()\n    "]}


def upgrade() -> None:
    """Create every table and trigger."""
    op.create_table('failed_sign_ins',
    sa.Column('key', sa.String(length=64), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.Column('first_at', app.db.types.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_failed_sign_ins'))
    )
    op.create_table('idempotency_replies',
    sa.Column('user_id', sa.Integer(), nullable=False),
    sa.Column('key', sa.String(length=255), nullable=False),
    sa.Column('method', sa.String(length=8), nullable=False),
    sa.Column('path', sa.String(length=2048), nullable=False),
    sa.Column('fingerprint', sa.String(length=64), nullable=False),
    sa.Column('status', sa.Integer(), nullable=True),
    sa.Column('headers', sa.JSON(), nullable=True),
    sa.Column('body', sa.LargeBinary(), nullable=True),
    sa.Column('created_at', app.db.types.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('user_id', 'key', 'method', 'path', name=op.f('pk_idempotency_replies'))
    )
    op.create_index(op.f('ix_idempotency_replies_created_at'), 'idempotency_replies', ['created_at'], unique=False)
    op.create_table('jobs',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('kind', sa.String(length=64), nullable=False),
    sa.Column('key', sa.String(length=255), nullable=False),
    sa.Column('payload', sa.JSON(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('error', sa.String(length=2000), nullable=True),
    sa.Column('result', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('created_by', sa.Integer(), nullable=True),
    sa.Column('created_at', app.db.types.UtcDateTime(timezone=True), nullable=False),
    sa.Column('run_at', app.db.types.UtcDateTime(timezone=True), nullable=False),
    sa.Column('lease_until', app.db.types.UtcDateTime(timezone=True), nullable=True),
    sa.Column('finished_at', app.db.types.UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_jobs')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_jobs_kind_key', 'jobs', ['kind', 'key'], unique=False)
    op.create_index('ix_jobs_state_run_at', 'jobs', ['state', 'run_at'], unique=False)
    op.create_index('uq_jobs_pending', 'jobs', ['kind', 'key'], unique=True, sqlite_where=sa.text("state = 'pending'"), postgresql_where=sa.text("state = 'pending'"))
    op.create_table('namespaces',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('path', sa.String(length=64), nullable=False),
    sa.Column('path_key', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('description', sa.String(length=2000), nullable=False),
    sa.Column('kind', sa.String(length=8), nullable=False),
    sa.Column('visibility', sa.String(length=8), nullable=False),
    sa.Column('created_at', app.db.types.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_namespaces')),
    sa.UniqueConstraint('path_key', name=op.f('uq_namespaces_path_key')),
    sqlite_autoincrement=True
    )
    op.create_table('setup_links',
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('created_at', app.db.types.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('digest', name=op.f('pk_setup_links'))
    )
    op.create_table('storage_sites',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=64), nullable=False),
    sa.Column('name_key', sa.String(length=64), nullable=False),
    sa.Column('provider', sa.String(length=16), nullable=False),
    sa.Column('url', sa.String(length=2048), nullable=False),
    sa.Column('endpoint_url', sa.String(length=2048), nullable=True),
    sa.Column('region', sa.String(length=64), nullable=True),
    sa.Column('credentials', sa.LargeBinary(), nullable=True),
    sa.Column('created_at', app.db.types.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_storage_sites')),
    sa.UniqueConstraint('name_key', name=op.f('uq_storage_sites_name_key')),
    sqlite_autoincrement=True
    )
    op.create_table('users',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('username', sa.String(length=64), nullable=False),
    sa.Column('username_key', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('email', sa.String(length=254), nullable=False),
    sa.Column('is_admin', sa.Boolean(), nullable=False),
    sa.Column('is_blocked', sa.Boolean(), nullable=False),
    sa.Column('password_hash', sa.String(length=255), nullable=True),
    sa.Column('session_stamp', sa.String(length=64), nullable=False),
    sa.Column('created_at', app.db.types.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_users')),
    sa.UniqueConstraint('username_key', name=op.f('uq_users_username_key')),
    sqlite_autoincrement=True
    )
    op.create_table('datasets',
    sa.Column('id', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('namespace_id', sa.Integer(), nullable=False),
    sa.Column('namespace_path', sa.String(length=255), nullable=False),
    sa.Column('path', sa.String(length=100), nullable=False),
    sa.Column('path_key', sa.String(length=100), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('description', sa.Text(), nullable=False),
    sa.Column('visibility', sa.String(length=16), nullable=False),
    sa.Column('default_branch', sa.String(length=255), nullable=False),
    sa.Column('push_level', sa.Integer(), nullable=False),
    sa.Column('site_id', sa.Integer(), nullable=True),
    sa.Column('created_at', app.db.types.UtcDateTime(timezone=True), nullable=False),
    sa.Column('updated_at', app.db.types.UtcDateTime(timezone=True), nullable=False),
    sa.Column('created_by', sa.Integer(), nullable=True),
    sa.Column('deletion_due', app.db.types.UtcDateTime(timezone=True), nullable=True),
    sa.Column('is_ready', sa.Boolean(), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.ForeignKeyConstraint(['namespace_id'], ['namespaces.id'], name=op.f('fk_datasets_namespace_id_namespaces')),
    sa.ForeignKeyConstraint(['site_id'], ['storage_sites.id'], name=op.f('fk_datasets_site_id_storage_sites')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_datasets')),
    sa.UniqueConstraint('namespace_id', 'path_key', name=op.f('uq_datasets_namespace_id_path_key')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_datasets_site_id'), 'datasets', ['site_id'], unique=False)
    op.create_table('namespace_members',
    sa.Column('namespace_id', sa.Integer(), nullable=False),
    sa.Column('user_id', sa.Integer(), nullable=False),
    sa.Column('access_level', sa.Integer(), nullable=False),
    sa.Column('created_at', app.db.types.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['namespace_id'], ['namespaces.id'], name=op.f('fk_namespace_members_namespace_id_namespaces'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_namespace_members_user_id_users'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('namespace_id', 'user_id', name=op.f('pk_namespace_members'))
    )
    op.create_index('ix_namespace_members_user_id', 'namespace_members', ['user_id'], unique=False)
    op.create_table('tokens',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('user_id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('scopes', sa.String(length=64), nullable=False),
    sa.Column('created_at', app.db.types.UtcDateTime(timezone=True), nullable=False),
    sa.Column('expires_at', app.db.types.UtcDateTime(timezone=True), nullable=True),
    sa.Column('last_used_at', app.db.types.UtcDateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_tokens_user_id_users'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tokens')),
    sa.UniqueConstraint('digest', name=op.f('uq_tokens_digest')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_tokens_user_id'), 'tokens', ['user_id'], unique=False)
    op.create_table('dataset_members',
    sa.Column('dataset_id', sa.Integer(), nullable=False),
    sa.Column('user_id', sa.Integer(), nullable=False),
    sa.Column('level', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['dataset_id'], ['datasets.id'], name=op.f('fk_dataset_members_dataset_id_datasets'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_dataset_members_user_id_users'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('dataset_id', 'user_id', name=op.f('pk_dataset_members'))
    )
    op.create_index(op.f('ix_dataset_members_user_id'), 'dataset_members', ['user_id'], unique=False)
    op.create_table('dataset_topics',
    sa.Column('dataset_id', sa.Integer(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('topic', sa.String(length=60), nullable=False),
    sa.ForeignKeyConstraint(['dataset_id'], ['datasets.id'], name=op.f('fk_dataset_topics_dataset_id_datasets'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('dataset_id', 'position', name=op.f('pk_dataset_topics'))
    )
    op.create_index(op.f('ix_dataset_topics_topic'), 'dataset_topics', ['topic'], unique=False)
    op.create_table('objects',
    sa.Column('dataset_id', sa.Integer(), nullable=False),
    sa.Column('address', sa.String(length=36), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.Column('crc32', sa.String(length=8), nullable=False),
    sa.Column('is_legacy', sa.Boolean(), nullable=False),
    sa.Column('damaged_at', app.db.types.UtcDateTime(timezone=True), nullable=True),
    sa.Column('added_at', app.db.types.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['dataset_id'], ['datasets.id'], name=op.f('fk_objects_dataset_id_datasets'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('dataset_id', 'address', name=op.f('pk_objects')),
    sqlite_with_rowid=False
    )
    op.create_index(op.f('ix_objects_sha256'), 'objects', ['sha256'], unique=False)
    op.create_table('project_pins',
    sa.Column('id', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('project_id', sa.Integer(), nullable=False),
    sa.Column('dataset_id', sa.Integer(), nullable=True),
    sa.Column('dataset_path', sa.String(length=400), nullable=False),
    sa.Column('ref', sa.String(length=255), nullable=False),
    sa.Column('commit_id', sa.String(length=40), nullable=False),
    sa.Column('template', sa.String(length=16), nullable=False),
    sa.Column('created_by', sa.Integer(), nullable=False),
    sa.Column('created_at', app.db.types.UtcDateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['dataset_id'], ['datasets.id'], name=op.f('fk_project_pins_dataset_id_datasets'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['project_id'], ['datasets.id'], name=op.f('fk_project_pins_project_id_datasets'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_project_pins'))
    )
    op.create_index(op.f('ix_project_pins_dataset_id'), 'project_pins', ['dataset_id'], unique=False)
    op.create_index(op.f('ix_project_pins_project_id'), 'project_pins', ['project_id'], unique=False)
    op.create_table('uploads',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('dataset_id', sa.Integer(), nullable=False),
    sa.Column('user_id', sa.Integer(), nullable=False),
    sa.Column('branch', sa.String(length=255), nullable=False),
    sa.Column('base', sa.String(length=40), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('expires_at', app.db.types.UtcDateTime(timezone=True), nullable=False),
    sa.Column('commit_id', sa.String(length=40), nullable=True),
    sa.Column('is_unchanged', sa.Boolean(), nullable=True),
    sa.Column('files', sa.Integer(), nullable=True),
    sa.Column('size', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['dataset_id'], ['datasets.id'], name=op.f('fk_uploads_dataset_id_datasets'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_uploads'))
    )
    op.create_index(op.f('ix_uploads_dataset_id'), 'uploads', ['dataset_id'], unique=False)
    op.create_index(op.f('ix_uploads_expires_at'), 'uploads', ['expires_at'], unique=False)
    op.create_table('upload_files',
    sa.Column('upload_id', sa.String(length=32), nullable=False),
    sa.Column('path', sa.Text(), nullable=False),
    sa.Column('md5', sa.String(length=32), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=True),
    sa.ForeignKeyConstraint(['upload_id'], ['uploads.id'], name=op.f('fk_upload_files_upload_id_uploads'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('upload_id', 'path', name=op.f('pk_upload_files'))
    )
    op.create_index('ix_upload_files_md5', 'upload_files', ['upload_id', 'md5'], unique=False)

    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)
