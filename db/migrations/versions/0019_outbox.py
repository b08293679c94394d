"""Add the outbox of events for webhooks and hooks, and the subscribers that are disabled."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("subscriber", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid()),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claim", sa.Uuid()),
        sa.Column("give_up_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.String()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
    )
    pending = sa.text("status = 'pending'")
    for name, columns in (
        ("outbox_by_due_time", ["subscriber", "due_at"]),
        ("outbox_by_conversation", ["conversation_id", "subscriber", "id"]),
    ):
        op.create_index(name, "outbox", columns, sqlite_where=pending, postgresql_where=pending)
    op.create_index("outbox_by_end", "outbox", ["finished_at"])
    op.create_table(
        "outbox_disabled",
        sa.Column("subscriber", sa.String(), primary_key=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=False),
    )
