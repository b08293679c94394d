"""A row for each call of Claude's API, with what it cost."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")
# What was used before has no price: nobody knows by which table it was paid.
TAKE_OVER = """
INSERT INTO calls (id, owner_id, conversation_id, generation_id, purpose, model, request_id, outcome,
  input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, prices, day, created_at)
SELECT g.id, c.owner_id, c.id, g.id, 'answer', g.model, g.request_id, g.status,
  coalesce(g.input_tokens, 0), coalesce(g.output_tokens, 0),
  coalesce(g.cache_read_tokens, 0), coalesce(g.cache_write_tokens, 0), 'none', date(g.created_at), g.created_at
FROM generations g JOIN conversations c ON c.id = g.conversation_id
WHERE g.input_tokens IS NOT NULL OR g.output_tokens IS NOT NULL
"""
NO_PRICE = "UPDATE conversations SET amount = NULL WHERE input_tokens + output_tokens > 0"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "calls",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("generation_id", sa.Uuid(), nullable=True),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        *(sa.Column(count, sa.BigInteger(), nullable=False, server_default="0") for count in COUNTS),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("prices", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("calls_by_owner", "calls", ["owner_id", "created_at"])
    op.add_column("generations", sa.Column("amount", sa.BigInteger(), nullable=True))
    op.add_column("conversations", sa.Column("amount", sa.BigInteger(), nullable=True, server_default="0"))
    op.execute(TAKE_OVER)
    op.execute(NO_PRICE)
