"""Alembic's entry point: migrates the connection that `pipeline.database.upgrade_schema` hands over."""

from alembic import context

from pipeline.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
