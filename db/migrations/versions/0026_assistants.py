"""Add the assistant of each conversation, and what assistants contributed to generations."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add nullable columns and a table. Replicas of the version before ignore them."""
    op.add_column("conversations", sa.Column("assistant", sa.String()))
    op.add_column("generations", sa.Column("contribution", sa.String()))
    op.create_table(
        "assistant_contributions",
        sa.Column(
            "conversation_id", sa.Uuid(), sa.ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("digest", sa.String(), primary_key=True),
        sa.Column("content", sa.JSON(), nullable=False),
    )
