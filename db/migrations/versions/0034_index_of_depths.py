"""Index messages by their depth, so that parts of a branch are found without reading the whole branch."""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None
CONCURRENT_INDEXES = {"messages_by_depth": "messages (conversation_id, depth, id)"}
"""On PostgreSQL, `db.migrate` builds these before the migration, while other processes write."""


def upgrade() -> None:
    """Create the index."""
    op.create_index("messages_by_depth", "messages", ["conversation_id", "depth", "id"], if_not_exists=True)
