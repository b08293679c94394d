"""What full-text search reads: the words of each message, and whose it is."""

import sqlalchemy as sa
from alembic import op

from tertulia.db.search import insertion

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SQLITE = (
    # The tokenizer only parts at spaces: the words are made by db.words.
    "CREATE VIRTUAL TABLE message_words USING fts5(id, owner, words, tokenize = 'ascii')",
    """
    CREATE TRIGGER messages_forget_words AFTER DELETE ON messages BEGIN
      DELETE FROM message_words WHERE rowid IN
        (SELECT rowid FROM message_words WHERE message_words MATCH 'id : "' || old.id || '"');
    END
    """,
)
POSTGRESQL = (
    """
    CREATE TABLE message_words (
      message_id uuid PRIMARY KEY REFERENCES messages ON DELETE CASCADE, words tsvector NOT NULL
    )
    """,
    "CREATE INDEX message_words_by_word ON message_words USING gin (words)",
)
AT_ONCE = 500


def upgrade() -> None:
    """Apply, and take the words of all that is there already."""
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    for creation in SQLITE if sqlite else POSTGRESQL:
        op.execute(creation)
    messages = sa.table(
        "messages", sa.column("id", sa.Uuid), sa.column("conversation_id", sa.Uuid), sa.column("content", sa.JSON)
    )
    conversations = sa.table("conversations", sa.column("id", sa.Uuid), sa.column("owner_id", sa.Uuid))
    query = (
        sa.select(conversations.c.owner_id, messages.c.id, messages.c.content)
        .join(conversations, conversations.c.id == messages.c.conversation_id)
        .order_by(messages.c.id)
        .limit(AT_ONCE)
    )
    found = connection.execute(query).all()
    while found:
        statement, rows = insertion(connection.dialect.name, (tuple(row) for row in found))
        if rows:
            connection.execute(statement, rows)
        found = connection.execute(query.where(messages.c.id > found[-1][1])).all()
