"""Store how often limits have refused requests, by day, limit and user."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table. Replicas of the version before do not use it."""
    op.create_table(
        "limit_hits",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("limit_name", sa.String(), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("hits", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("day", "limit_name", "subject"),
    )
    op.create_index("limit_hits_by_owner", "limit_hits", ["owner_id"])
