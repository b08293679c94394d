"""Add the progress of reindexing messages after the rules for words have changed."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table. The server reindexes in the background, so that its start does not wait."""
    op.create_table(
        "search_rebuilds",
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("after", sa.Uuid()),
        sa.Column("finished", sa.Boolean(), nullable=False),
    )
