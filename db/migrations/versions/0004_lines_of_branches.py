"""A generation says itself which one it waits for: branches of a conversation are answered side by side."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LINE_UP = """
UPDATE generations SET waits_for =
  (SELECT g.id FROM generations g
   WHERE g.conversation_id = generations.conversation_id AND g.id < generations.id
     AND g.status IN ('queued', 'running', 'awaiting_tool_results')
   ORDER BY g.id DESC LIMIT 1)
WHERE status = 'queued'
"""


def upgrade() -> None:
    """Apply."""
    op.add_column("generations", sa.Column("waits_for", sa.Uuid(), nullable=True))
    op.create_index("generations_by_line", "generations", ["waits_for"])
    op.execute(LINE_UP)
