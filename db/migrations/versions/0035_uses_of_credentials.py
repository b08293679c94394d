"""Store the browser or program of a sign-in, and when a personal access token was last used."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add nullable columns. Replicas of the version before ignore them."""
    op.add_column("sign_ins", sa.Column("user_agent", sa.String(), nullable=True))
    op.add_column("personal_tokens", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
