"""Alembic's environment: it runs migrations on the connection that `db.migrate` passes."""

from alembic import context

from tertulia.db.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
