"""Index the pinned and the archived conversations, so that a list of them reads no others."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

COLUMNS = ["owner_id", "updated_at", "id"]
FLAGS = ("pinned", "archived")
CONCURRENT_INDEXES = {
    f"conversations_by_{flag}": f"conversations ({', '.join(COLUMNS)}) WHERE {flag}" for flag in FLAGS
}
"""On PostgreSQL, `db.migrate` builds these before the migration, while other processes write."""


def upgrade() -> None:
    """Create the indexes."""
    for flag in FLAGS:
        op.create_index(
            f"conversations_by_{flag}",
            "conversations",
            COLUMNS,
            sqlite_where=sa.text(f"{flag} = 1"),
            postgresql_where=sa.text(flag),
            if_not_exists=True,
        )
