"""Index idempotency keys by generation, because deleting a generation looks for its key."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    op.create_index("idempotency_keys_by_generation", "idempotency_keys", ["generation_id"])
