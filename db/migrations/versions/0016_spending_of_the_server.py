"""Add the spending of all users by day, and the reservations of calls that are not part of an answer."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TAKE_OVER = """
INSERT INTO spending (day, shard, amount)
SELECT day, 0, sum(amount) FROM calls WHERE amount IS NOT NULL GROUP BY day HAVING sum(amount) > 0
"""


def upgrade() -> None:
    """Create the tables, and compute the spending from the ledger."""
    op.create_table(
        "spending",
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("shard", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "reservations",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("owner_id", sa.Uuid(), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("reservations_by_owner", "reservations", ["owner_id"])
    op.create_index(
        "generations_by_reservation",
        "generations",
        ["reserved"],
        sqlite_where=sa.text("reserved IS NOT NULL"),
        postgresql_where=sa.text("reserved IS NOT NULL"),
    )
    op.execute(TAKE_OVER)
