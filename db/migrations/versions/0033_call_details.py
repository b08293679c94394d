"""Store the report of Claude's API about each call, and the last response and stop sequence of a generation."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add nullable columns. Replicas of the version before ignore them."""
    op.add_column("generations", sa.Column("stop_sequence", sa.String(), nullable=True))
    op.add_column("generations", sa.Column("response_id", sa.String(), nullable=True))
    op.add_column("calls", sa.Column("details", sa.JSON(), nullable=True))
