"""Conversations that are temporary, and the orders that lists come in."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("conversations", sa.Column("temporary", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("conversations_by_creation", "conversations", ["owner_id", "created_at", "id"])
    title = sa.text("coalesce(lower(title), '')")
    op.create_index("conversations_by_title", "conversations", ["owner_id", title, "id"])
    op.create_index("conversations_by_age", "conversations", ["updated_at"])
