"""Count how often each generation was continued after an interruption."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column with a default. Replicas of the version before ignore it."""
    op.add_column("generations", sa.Column("continuations", sa.Integer(), nullable=False, server_default="0"))
