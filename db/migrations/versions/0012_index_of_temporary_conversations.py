"""An index of temporary conversations alone: each send changes when its conversation was used."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.drop_index("conversations_by_age", "conversations")
    op.create_index(
        "conversations_by_age",
        "conversations",
        ["updated_at"],
        sqlite_where=sa.text("temporary = 1"),
        postgresql_where=sa.text("temporary"),
    )
