"""Add the plans of users, and those of generations."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. They are null for all rows from before."""
    op.add_column("users", sa.Column("plan", sa.String()))
    op.add_column("generations", sa.Column("plan", sa.String()))
