"""Add the shares of conversations."""

from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def _reference(name: str, column: str) -> "sa.Column[UUID]":
    return sa.Column(name, sa.Uuid(), sa.ForeignKey(column, ondelete="CASCADE"), nullable=False)


def upgrade() -> None:
    """Add the table and its indexes."""
    op.create_table(
        "shares",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _reference("owner_id", "users.id"),
        _reference("conversation_id", "conversations.id"),
        _reference("leaf_id", "messages.id"),
        sa.Column("digest", sa.String(), nullable=False, unique=True),
        sa.Column("title", sa.String()),
        sa.Column("include_thinking", sa.Boolean(), nullable=False),
        sa.Column("include_tools", sa.Boolean(), nullable=False),
        sa.Column("include_context", sa.Boolean(), nullable=False),
        sa.Column("views", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    for name, columns in (
        ("owner", ["owner_id", "id"]),
        ("conversation", ["conversation_id", "id"]),
        ("leaf", ["leaf_id"]),
        ("expiry", ["expires_at"]),
    ):
        op.create_index(f"shares_by_{name}", "shares", columns)
