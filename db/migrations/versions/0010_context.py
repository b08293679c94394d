"""How much of the model's window was in use behind an answer."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("generations", sa.Column("context_tokens", sa.Integer()))
    op.execute(
        "UPDATE generations SET context_tokens = input_tokens + coalesce(output_tokens, 0)"
        " + coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0)"
        " WHERE input_tokens IS NOT NULL AND status IN ('completed', 'stopped', 'failed')"
    )
