"""Leases on generations, and the numbered changes to conversations."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("users") as users:
        users.add_column(sa.Column("changes", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("generations") as generations:
        generations.add_column(sa.Column("holder", sa.Uuid(), nullable=True))
        generations.add_column(sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True))
        generations.add_column(sa.Column("stop_requested", sa.Boolean(), nullable=False, server_default=sa.false()))
        generations.create_index("generations_by_lease", ["status", "lease_until"], unique=False)
    op.create_table(
        "conversation_changes",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("owner_id", "sequence"),
    )
    op.create_index("conversation_changes_by_age", "conversation_changes", ["created_at"], unique=False)
