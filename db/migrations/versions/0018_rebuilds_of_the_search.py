"""How far the messages of earlier versions are indexed again, where the rules of words have changed."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. The server indexes in the background, so that the start does not wait for it."""
    op.create_table(
        "search_rebuilds",
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("after", sa.Uuid()),
        sa.Column("finished", sa.Boolean(), nullable=False),
    )
