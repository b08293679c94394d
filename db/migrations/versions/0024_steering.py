"""Add whether generations steer others, and whether they were steered."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. They are false for all generations from before, and for those of an earlier version."""
    for column in ("steers", "steered"):
        op.add_column("generations", sa.Column(column, sa.Boolean(), nullable=False, server_default=sa.false()))
