"""Store why Claude refused an answer, and what later requests leave out because Claude's API refused it."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns that may be null. Replicas of the version before ignore them."""
    for name in ("refusal", "repairs"):
        op.add_column("generations", sa.Column(name, sa.JSON(none_as_null=True)))
