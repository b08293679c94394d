"""Tools: which ones a conversation has, the calls of them, and until when an answer waits for their results."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("conversations", sa.Column("tools", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("generations", sa.Column("tools_expire_at", sa.DateTime(timezone=True)))
    op.add_column("calls", sa.Column("web_searches", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "tool_calls",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("owner_id", sa.Uuid(), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=False),
        sa.Column("tool_use_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("asks_first", sa.Boolean(), nullable=False),
        sa.Column("answer", sa.JSON()),
        sa.Column("fingerprint", sa.String()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
    )
    op.create_index("tool_calls_by_generation", "tool_calls", ["generation_id", "tool_use_id"], unique=True)
    op.create_index("tool_calls_by_owner", "tool_calls", ["owner_id", "created_at"])
