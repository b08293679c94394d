"""What is reserved of a budget, and which counts of the bill are our own."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("generations", sa.Column("reserved", sa.BigInteger()))
    op.add_column("calls", sa.Column("estimated", sa.Boolean(), nullable=False, server_default=sa.false()))
