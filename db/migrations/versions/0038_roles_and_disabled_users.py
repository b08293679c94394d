"""Store the roles of users and when they were disabled, and index failures and the days of calls for operators."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

HAS_FAILED = "status = 'failed'"
CONCURRENT_INDEXES = {
    "generations_by_failure": f"generations (id) WHERE {HAS_FAILED}",
    "calls_by_day": "calls (day)",
}
"""On PostgreSQL, `db.migrate` builds these before the migration, while other processes write."""


def upgrade() -> None:
    """Add nullable columns and indexes. Replicas of the version before ignore them, and admit disabled users."""
    op.add_column("users", sa.Column("role", sa.String(), nullable=True))
    op.add_column("users", sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True))
    has_failed = sa.text(HAS_FAILED)
    op.create_index(
        "generations_by_failure",
        "generations",
        ["id"],
        sqlite_where=has_failed,
        postgresql_where=has_failed,
        if_not_exists=True,
    )
    op.create_index("calls_by_day", "calls", ["day"], if_not_exists=True)
