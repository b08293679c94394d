"""Add the metadata of conversations and messages, and the external ids of conversations."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

HAS_EXTERNAL_ID = sa.text("external_id IS NOT NULL")


def upgrade() -> None:
    """Add the columns, and the index of metadata. Rows from before have none of these values."""
    for table in ("messages", "conversations"):
        op.add_column(table, sa.Column("app_metadata", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("conversations", sa.Column("external_id", sa.String()))
    op.create_index(
        "conversations_by_external_id",
        "conversations",
        ["owner_id", "external_id"],
        unique=True,
        sqlite_where=HAS_EXTERNAL_ID,
        postgresql_where=HAS_EXTERNAL_ID,
    )
    op.create_table(
        "metadata_terms",
        sa.Column("owner_id", sa.Uuid(), sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("term", sa.String(), primary_key=True),
        sa.Column(
            "conversation_id", sa.Uuid(), sa.ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
        ),
    )
    op.create_index("metadata_terms_by_conversation", "metadata_terms", ["conversation_id"])
