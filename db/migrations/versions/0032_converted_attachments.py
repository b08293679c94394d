"""Remember what Claude is sent instead of a file that the server has converted."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns that are null for older files. Replicas of the version before ignore them."""
    op.add_column("blobs", sa.Column("converted_type", sa.String(), nullable=True))
    for name in ("characters", "sent_bytes"):
        op.add_column("attachments", sa.Column(name, sa.Integer(), nullable=True))
