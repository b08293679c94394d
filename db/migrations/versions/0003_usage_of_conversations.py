"""What a conversation has used stands in its own row: lists read it from there."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
ADD_UP = """
UPDATE conversations SET
  input_tokens =
    (SELECT coalesce(sum(g.input_tokens), 0) FROM generations g WHERE g.conversation_id = conversations.id),
  output_tokens =
    (SELECT coalesce(sum(g.output_tokens), 0) FROM generations g WHERE g.conversation_id = conversations.id),
  cache_read_tokens =
    (SELECT coalesce(sum(g.cache_read_tokens), 0) FROM generations g WHERE g.conversation_id = conversations.id),
  cache_write_tokens =
    (SELECT coalesce(sum(g.cache_write_tokens), 0) FROM generations g WHERE g.conversation_id = conversations.id)
"""


def upgrade() -> None:
    """Apply."""
    for count in COUNTS:
        op.add_column("conversations", sa.Column(count, sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(ADD_UP)
