"""Create all tables of the first supported schema.

This migration creates a new database, and later migrations only add to it. Its revision is `0014` because it replaces
the migrations 0001 to 0014, which were never released. Databases that those created have the revision `0014` and
continue with 0015. Older ones are refused (`tertulia.db.migrate`).

The tables are declared again in `tertulia.db`. Nothing is imported from there, because this is their state at that
time. SQLAlchemy cannot declare `message_words`, the index of full-text search: it is a virtual table of FTS5 with a
trigger on SQLite, and a table with a GIN index on PostgreSQL.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = None
branch_labels = None
depends_on = None

TOKEN_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
STATUSES = "'queued', 'running', 'awaiting_tool_results', 'completed', 'stopped', 'failed'"
SEARCH_ON_SQLITE = (
    # `db.words` extracts the words. This tokenizer only splits them at spaces.
    "CREATE VIRTUAL TABLE message_words USING fts5(id, owner, words, tokenize = 'ascii')",
    """
    CREATE TRIGGER messages_forget_words AFTER DELETE ON messages BEGIN
      DELETE FROM message_words WHERE rowid IN
        (SELECT rowid FROM message_words WHERE message_words MATCH 'id : "' || old.id || '"');
    END
    """,
)
SEARCH_ON_POSTGRESQL = (
    """
    CREATE TABLE message_words (
      message_id uuid PRIMARY KEY REFERENCES messages ON DELETE CASCADE, words tsvector NOT NULL
    )
    """,
    "CREATE INDEX message_words_by_word ON message_words USING gin (words)",
)


def upgrade() -> None:
    """Create all tables, each after the tables that it refers to."""
    _create_users()
    _create_conversations()
    _create_messages()
    _create_search()
    _create_generations()
    _create_idempotency_keys()
    _create_conversation_changes()
    _create_calls()
    _create_attachments()
    _create_sign_ins()
    _create_audit()
    _create_tool_calls()


def _create_users() -> None:
    op.create_table(
        "users",
        _id(),
        sa.Column("name", sa.String(), nullable=False, unique=True),
        _time("created_at", nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("password_hash", sa.String()),
        sa.Column("issuer", sa.String()),
        sa.Column("subject", sa.String()),
    )
    op.create_index("users_by_subject", "users", ["issuer", "subject"], unique=True)


def _create_conversations() -> None:
    op.create_table(
        "conversations",
        _id(),
        _reference("owner_id", "users.id"),
        sa.Column("title", sa.String()),
        sa.Column("system_prompt", sa.Text()),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.Column("active_leaf_id", sa.Uuid()),
        _time("created_at", nullable=False),
        _time("updated_at", nullable=False),
        *(_count(name) for name in TOKEN_COUNTS),
        sa.Column("amount", sa.BigInteger(), server_default="0"),
        _json_object("options"),
        sa.Column("temporary", sa.Boolean(), nullable=False, server_default=sa.false()),
        _json_object("tools"),
    )
    op.create_index("conversations_by_activity", "conversations", ["owner_id", "updated_at", "id"])
    op.create_index("conversations_by_creation", "conversations", ["owner_id", "created_at", "id"])
    title = sa.text("coalesce(lower(title), '')")
    op.create_index("conversations_by_title", "conversations", ["owner_id", title, "id"])
    op.create_index(
        "conversations_by_age",
        "conversations",
        ["updated_at"],
        sqlite_where=sa.text("temporary = 1"),
        postgresql_where=sa.text("temporary"),
    )


def _create_messages() -> None:
    op.create_table(
        "messages",
        _id(),
        _reference("conversation_id", "conversations.id"),
        _reference("parent_id", "messages.id", nullable=True),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        _time("created_at", nullable=False),
        sa.CheckConstraint("role IN ('user', 'assistant')", name="messages_role"),
    )
    op.create_index("messages_by_conversation", "messages", ["conversation_id", "id"])
    op.create_index("messages_by_parent", "messages", ["parent_id", "id"])


def _create_search() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SEARCH_ON_SQLITE if is_sqlite else SEARCH_ON_POSTGRESQL:
        op.execute(statement)


def _create_generations() -> None:
    op.create_table(
        "generations",
        _id(),
        _reference("conversation_id", "conversations.id"),
        _reference("message_id", "messages.id", unique=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("stop_reason", sa.String()),
        sa.Column("error", sa.JSON()),
        sa.Column("request_id", sa.String()),
        sa.Column("prefix", sa.String()),
        *(sa.Column(name, sa.Integer()) for name in TOKEN_COUNTS),
        _time("created_at", nullable=False),
        _time("started_at"),
        _time("first_token_at"),
        _time("finished_at"),
        sa.Column("holder", sa.Uuid()),
        _time("lease_until"),
        sa.Column("stop_requested", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("waits_for", sa.Uuid()),
        sa.Column("amount", sa.BigInteger()),
        _json_object("left_out"),
        sa.Column("reserved", sa.BigInteger()),
        sa.Column("context_tokens", sa.Integer()),
        _time("tools_expire_at"),
        sa.CheckConstraint(f"status IN ({STATUSES})", name="generations_status"),
    )
    op.create_index("generations_by_conversation", "generations", ["conversation_id", "status"])
    op.create_index("generations_by_lease", "generations", ["status", "lease_until"])
    op.create_index("generations_by_line", "generations", ["waits_for"])


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        _reference("owner_id", "users.id", primary_key=True),
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("fingerprint", sa.String(), nullable=False),
        _reference("generation_id", "generations.id"),
        _time("created_at", nullable=False),
    )


def _create_conversation_changes() -> None:
    op.create_table(
        "conversation_changes",
        _reference("owner_id", "users.id", primary_key=True),
        sa.Column("sequence", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("generation_id", sa.Uuid()),
        _time("created_at", nullable=False),
    )
    op.create_index("conversation_changes_by_age", "conversation_changes", ["created_at"])


def _create_calls() -> None:
    op.create_table(
        "calls",
        _id(),
        _reference("owner_id", "users.id"),
        sa.Column("conversation_id", sa.Uuid()),
        sa.Column("generation_id", sa.Uuid()),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("request_id", sa.String()),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        *(_count(name) for name in (*TOKEN_COUNTS, "cache_write_1h_tokens")),
        sa.Column("amount", sa.BigInteger()),
        sa.Column("prices", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        _time("created_at", nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False, server_default=sa.false()),
        _count("web_searches"),
    )
    op.create_index("calls_by_owner", "calls", ["owner_id", "created_at"])


def _create_attachments() -> None:
    op.create_table(
        "blobs",
        _id(),
        sa.Column("file_id", sa.String()),
        _time("created_at", nullable=False),
    )
    op.create_table(
        "attachments",
        _id(),
        _reference("owner_id", "users.id"),
        _reference("conversation_id", "conversations.id", nullable=True),
        sa.Column("blob_id", sa.Uuid(), sa.ForeignKey("blobs.id"), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        _count("size_bytes"),
        sa.Column("width", sa.Integer()),
        sa.Column("height", sa.Integer()),
        sa.Column("pages", sa.Integer()),
        _time("created_at", nullable=False),
    )
    op.create_index("attachments_by_conversation", "attachments", ["conversation_id"])
    op.create_index("attachments_by_blob", "attachments", ["blob_id"])
    op.create_index("attachments_by_owner", "attachments", ["owner_id"])


def _create_sign_ins() -> None:
    op.create_table(
        "sign_ins",
        _id(),
        _reference("owner_id", "users.id"),
        sa.Column("rotation", sa.BigInteger(), nullable=False),
        _time("expires_at", nullable=False),
        _time("revoked_at"),
        _time("created_at", nullable=False),
    )
    op.create_index("sign_ins_by_owner", "sign_ins", ["owner_id"])
    op.create_table(
        "personal_tokens",
        _id(),
        _reference("owner_id", "users.id"),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False, unique=True),
        _time("expires_at"),
        _time("created_at", nullable=False),
    )
    op.create_index("personal_tokens_by_owner", "personal_tokens", ["owner_id"])


def _create_audit() -> None:
    op.create_table(
        "audit",
        _id(),
        sa.Column("user_id", sa.Uuid()),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("address", sa.String()),
        sa.Column("detail", sa.JSON(), nullable=False),
        _time("created_at", nullable=False),
    )
    op.create_index("audit_by_user", "audit", ["user_id", "created_at"])


def _create_tool_calls() -> None:
    op.create_table(
        "tool_calls",
        _id(),
        _reference("owner_id", "users.id"),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=False),
        sa.Column("tool_use_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("asks_first", sa.Boolean(), nullable=False),
        sa.Column("answer", sa.JSON()),
        sa.Column("fingerprint", sa.String()),
        _time("created_at", nullable=False),
        _time("started_at"),
        _time("finished_at"),
    )
    op.create_index("tool_calls_by_generation", "tool_calls", ["generation_id", "tool_use_id"], unique=True)
    op.create_index("tool_calls_by_owner", "tool_calls", ["owner_id", "created_at"])


def _id() -> "sa.Column[Any]":
    return sa.Column("id", sa.Uuid(), primary_key=True)


def _reference(name: str, target: str, *, nullable: bool = False, **options: Any) -> "sa.Column[Any]":
    return sa.Column(name, sa.Uuid(), sa.ForeignKey(target, ondelete="CASCADE"), nullable=nullable, **options)


def _time(name: str, *, nullable: bool = True) -> "sa.Column[Any]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _count(name: str) -> "sa.Column[Any]":
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def _json_object(name: str) -> "sa.Column[Any]":
    return sa.Column(name, sa.JSON(), nullable=False, server_default="{}")
