"""Store when users of an identity provider signed in and out, and the group of users in reports of usage."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add nullable columns. Replicas of the version before ignore them."""
    op.add_column("users", sa.Column("usage_group", sa.String(), nullable=True))
    op.add_column("users", sa.Column("signed_in_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("users", sa.Column("signed_out_at", sa.DateTime(timezone=True), nullable=True))
