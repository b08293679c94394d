"""Add the ratings of answers, and the traces in which answers were written."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. They are null for all messages and generations from before."""
    op.add_column("messages", sa.Column("rating", sa.JSON(none_as_null=True)))
    op.add_column("generations", sa.Column("trace", sa.String()))
