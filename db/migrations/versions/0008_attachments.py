"""Files of the users', the bytes behind them, and what an answer was not shown."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "blobs",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("file_id", sa.String()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "attachments",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("owner_id", sa.Uuid(), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), sa.ForeignKey("conversations.id", ondelete="CASCADE")),
        sa.Column("blob_id", sa.Uuid(), sa.ForeignKey("blobs.id"), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("width", sa.Integer()),
        sa.Column("height", sa.Integer()),
        sa.Column("pages", sa.Integer()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("attachments_by_conversation", "attachments", ["conversation_id"])
    op.create_index("attachments_by_blob", "attachments", ["blob_id"])
    op.create_index("attachments_by_owner", "attachments", ["owner_id"])
    op.add_column("generations", sa.Column("left_out", sa.JSON(), nullable=False, server_default="{}"))
