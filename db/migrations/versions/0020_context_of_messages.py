"""Add the context of messages."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. It is null for all messages from before."""
    op.add_column("messages", sa.Column("context", sa.JSON()))
