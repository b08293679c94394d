"""Add the skeletons of user names, which are unique or null, and the time when a refresh token was last exchanged."""

import sqlalchemy as sa
from alembic import op

from tertulia.db.names import skeleton

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. Of existing accounts whose names look alike, only the oldest gets the skeleton."""
    op.add_column("users", sa.Column("name_skeleton", sa.String()))
    op.add_column("sign_ins", sa.Column("rotated_at", sa.DateTime(timezone=True)))
    connection = op.get_bind()
    users = sa.table(
        "users",
        sa.column("id", sa.Uuid),
        sa.column("name", sa.String),
        sa.column("password_hash", sa.String),
        sa.column("name_skeleton", sa.String),
    )
    oldest: dict[str, object] = {}
    query = sa.select(users.c.id, users.c.name).where(users.c.password_hash.is_not(None)).order_by(users.c.id)
    for id, name in connection.execute(query):
        oldest.setdefault(skeleton(name), id)
    if oldest:
        change = sa.update(users).where(users.c.id == sa.bindparam("user_id", type_=sa.Uuid))
        rows = [{"user_id": id, "name_skeleton": found} for found, id in oldest.items()]
        connection.execute(change.values(name_skeleton=sa.bindparam("name_skeleton")), rows)
    op.create_index("ix_users_name_skeleton", "users", ["name_skeleton"], unique=True)
