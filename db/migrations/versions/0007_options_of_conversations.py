"""Options that a conversation's answers are asked with."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("conversations", sa.Column("options", sa.JSON(), nullable=False, server_default="{}"))
