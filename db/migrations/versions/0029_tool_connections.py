"""Add the connections of users to MCP servers with OAuth."""

from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def _id() -> "sa.Column[UUID]":
    return sa.Column("id", sa.Uuid(), primary_key=True)


def _owner() -> "sa.Column[UUID]":
    return sa.Column("owner_id", sa.Uuid(), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False)


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.String(), nullable=False)


def upgrade() -> None:
    """Add the tables and their indexes."""
    op.create_table(
        "tool_clients",
        _id(),
        *(_text(name) for name in ("server", "issuer", "redirect_uri")),
        sa.Column("secrets", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("tool_clients_by_issuer", "tool_clients", ["server", "issuer", "redirect_uri"], unique=True)
    op.create_table(
        "tool_authorizations",
        _id(),
        _owner(),
        _text("server"),
        sa.Column("digest", sa.String(), nullable=False, unique=True),
        sa.Column("has_code", sa.Boolean(), nullable=False),
        sa.Column("return_to", sa.Text(), nullable=False),
        sa.Column("secrets", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("tool_authorizations_by_owner", "tool_authorizations", ["owner_id"])
    op.create_index("tool_authorizations_by_expiry", "tool_authorizations", ["expires_at"])
    op.create_table(
        "tool_connections",
        _id(),
        _owner(),
        _text("server"),
        sa.Column("secrets", sa.Text()),
        sa.Column("missing_scope", sa.Text()),
        sa.Column("tools", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("refreshing_until", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("tool_connections_by_owner", "tool_connections", ["owner_id", "server"], unique=True)
