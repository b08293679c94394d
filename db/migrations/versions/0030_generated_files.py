"""Add the files that Claude makes with the code that it runs."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and its index."""
    op.create_table(
        "generated_files",
        sa.Column("message_id", sa.Uuid(), sa.ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("file_id", sa.String(), primary_key=True),
        sa.Column("attachment_id", sa.Uuid(), sa.ForeignKey("attachments.id", ondelete="CASCADE")),
        sa.Column("filename", sa.String()),
        sa.Column("problem", sa.String()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("generated_files_by_attachment", "generated_files", ["attachment_id"])
