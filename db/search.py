"""Full-text search over an owner's messages: FTS5 on SQLite, a tsvector with GIN on PostgreSQL.

Both store the words that `db.words` extracts, and the owner as an additional word, so that a search never reads the
words of other owners. If there are very many matches, only the newest are ranked.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import TextClause, and_, or_, text
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import messages
from tertulia.db.database import Database
from tertulia.db.ownership import some_of
from tertulia.db.paging import Page, PageError, decode_cursor, encode_cursor
from tertulia.db.statements import defer
from tertulia.db.tables import UNFINISHED, Conversation, Generation, Message
from tertulia.db.words import VERSION, Term, bare_words
from tertulia.isolation import ItemLoop
from tertulia.json import Json
from tertulia.threads import in_thread

RANKED = 1000
"""The number of matches that are ranked: the newest ones."""
MAX_POSITIONS = 250
"""The maximum number of positions of a word in a message. PostgreSQL does not store more."""
MAX_BYTES = 900_000
"""The maximum size of a message's words. PostgreSQL refuses a megabyte. Words after the limit are not indexed."""
MAX_CHARACTERS = 1_000_000
"""The number of characters of a message that are indexed. A list of words needs ten times the memory of its text."""
WORD_BYTES, POSITION_BYTES = 8, 2
LONG_TEXT = 5_000
"""Texts with more characters are split in a thread, because each character takes up to a microsecond."""
AT_ONCE = 20
"""The number of messages that are reindexed in one transaction."""
PAUSE = 0.1
"""The delay between two of these transactions in seconds."""
REBUILD = ItemLoop("search.rebuild")


class SearchRebuild(SQLModel, table=True):
    """The progress of reindexing all messages with one version of the rules in `db.words`."""

    __tablename__: ClassVar[Any] = "search_rebuilds"

    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    # The last message that was reindexed; null before the first one.
    after: UUID | None = None
    finished: bool = False


_INSERT = {
    "sqlite": text("INSERT INTO message_words (id, owner, words) VALUES (:id, :owner, :words)"),
    "postgresql": text(
        "INSERT INTO message_words (message_id, words) VALUES (CAST(:id AS uuid), CAST(:words AS tsvector))"
        " ON CONFLICT (message_id) DO UPDATE SET words = EXCLUDED.words"
    ),
}
_DELETE = {
    "sqlite": text(
        "DELETE FROM message_words WHERE rowid IN"
        " (SELECT rowid FROM message_words WHERE message_words MATCH 'id : \"' || :id || '\"')"
    ),
    "postgresql": text("DELETE FROM message_words WHERE message_id = CAST(:id AS uuid)"),
}


FINISHED = and_(
    ~col(Conversation.temporary), or_(col(Generation.id).is_(None), col(Generation.status).not_in(UNFINISHED))
)
"""The condition of the messages that are indexed. Answers in progress are indexed when they are finished."""
_FINISHED = (
    select(Message, Conversation.owner_id)
    .join(Conversation, col(Conversation.id) == col(Message.conversation_id))
    .outerjoin(Generation, col(Generation.message_id) == col(Message.id))
    .where(FINISHED)
    .order_by(col(Message.id))
    .limit(AT_ONCE)
)
"""The next finished messages, by id."""
_LOCK = (
    select(Message.id)
    .where(some_of(Message.id))
    .order_by(col(Message.id))
    .with_for_update(key_share=True, skip_locked=True)
)
_OWNERS = (
    select(Message.id, Conversation.owner_id)
    .join(Conversation, col(Conversation.id) == col(Message.conversation_id))
    .where(some_of(Message.id))
)
_RANKING = {
    "sqlite": (
        "SELECT id, -bm25(message_words, 0.0, 0.0, 1.0) AS score FROM message_words"
        " WHERE message_words MATCH :query ORDER BY rowid DESC LIMIT :ranked"
    ),
    "postgresql": (
        "SELECT message_id AS id, CAST(ts_rank(words, asked, 1) AS double precision) AS score"
        " FROM message_words, CAST(:query AS tsquery) AS asked"
        " WHERE words @@ asked ORDER BY message_id DESC LIMIT :ranked"
    ),
}
_BOUND = {
    "sqlite": "(:{0}_score IS NULL OR (score, id) {1} (:{0}_score, :{0}_id))",
    "postgresql": (
        "(CAST(:{0}_score AS double precision) IS NULL"
        " OR (score, id) {1} (CAST(:{0}_score AS double precision), CAST(:{0}_id AS uuid)))"
    ),
}
"""The condition of a cursor. The best matches come first, so `after` selects lower scores."""


def _search(dialect: str, direction: str) -> TextClause:
    bounds = " AND ".join(_BOUND[dialect].format(*bound) for bound in (("after", "<"), ("before", ">")))
    return text(
        f"SELECT id, score FROM ({_RANKING[dialect]}) AS newest WHERE {bounds}"  # noqa: S608 - constants alone
        f" ORDER BY score {direction}, id {direction} LIMIT :size"
    )


_SEARCH = {dialect: {False: _search(dialect, "DESC"), True: _search(dialect, "ASC")} for dialect in _RANKING}
"""The statements, by dialect and by whether the page is counted from the end."""


IndexedMessage = tuple[UUID, UUID, Sequence[Json]]
"""The owner of a message, its id and its content."""
Insertion = tuple[TextClause, list[Json]]
"""A statement and its parameters."""


async def add(session: AsyncSession, *messages: IndexedMessage) -> None:
    """Index the text blocks of messages, none of which may be indexed already."""
    dialect = session.get_bind().dialect.name
    long = sum(len(text) for _, _, content in messages for text in _texts(content)) > LONG_TEXT
    await execute(
        session, await in_thread(partial(insertion, dialect, messages)) if long else insertion(dialect, messages)
    )


async def reindex(session: AsyncSession, *messages: IndexedMessage) -> None:
    """Replace the words of messages, for example because they have another owner."""
    dialect = session.get_bind().dialect.name
    for message_id, values in (await in_thread(partial(_values, dialect, messages))).items():
        await _replace(session, message_id, values)


async def execute(session: AsyncSession, insertion: Insertion) -> None:
    """Execute the result of `insertion`. Callers may compute it in a thread, because long messages take time."""
    statement, rows = insertion
    if rows:
        await defer(session, statement, rows)


def insertion(dialect: str, messages: Iterable[IndexedMessage]) -> Insertion:
    """Return the statement that indexes messages, and its parameters."""
    rows: list[Json] = []
    for owner, message_id, content in messages:
        words = [word for text in _texts(content) for word in bare_words(text)]
        if words and dialect == "sqlite":
            rows.append({"id": message_id.hex, "owner": owner.hex, "words": " ".join(words)})
        elif words:
            rows.append({"id": str(message_id), "words": _vector(owner, words)})
    return _INSERT[dialect], rows


def _texts(content: Sequence[Json]) -> Iterator[str]:
    remaining = MAX_CHARACTERS
    for block in content:
        text = block.get("text") if block.get("type") == "text" else None
        if isinstance(text, str) and remaining > 0:
            yield text[:remaining]
            remaining -= len(text)


async def rebuild(database: Database) -> None:
    """Reindex all messages, because an earlier version may have indexed them with other rules.

    Progress is stored in the table `search_rebuilds`, and each batch is a separate transaction. The rebuild can
    therefore be interrupted at any point, and several replicas can share it.
    """
    has_more = True
    while has_more:
        has_more = await _rebuild_some(database)
        await asyncio.sleep(PAUSE)


async def _rebuild_some(database: Database) -> bool:
    """Reindex the next batch of messages. Return whether there are more."""
    async with database.read() as session:
        progress = await session.get(SearchRebuild, VERSION)
        if progress is not None and progress.finished:
            return False
        after = None if progress is None else progress.after
        query = _FINISHED if after is None else _FINISHED.where(col(Message.id) > after)
        batch = (await session.exec(query)).all()
    if progress is None and not batch:
        return False  # A new database has nothing to reindex.
    rows: list[IndexedMessage] = [(owner, message.id, message.content) for message, owner in batch]
    values = await in_thread(partial(_values, database.engine.dialect.name, rows))
    async with database.write() as session:
        progress = await session.get(SearchRebuild, VERSION, with_for_update=True) or SearchRebuild(version=VERSION)
        if progress.after != after or progress.finished:
            return True  # Another replica has reindexed this batch.
        message_ids = await _lock(session, rows)
        if message_ids is None:
            return True
        for message_id in message_ids:
            await REBUILD.attempt(message_id, partial(_replace, session, message_id, values[message_id]))
        progress.after, progress.finished = (rows[-1][1], False) if rows else (after, True)
        session.add(progress)
    return True


async def _lock(session: AsyncSession, rows: Sequence[IndexedMessage]) -> Sequence[UUID] | None:
    """Lock messages so that no other transaction deletes them or replaces their words.

    Words refer to their message. A transaction that waited for the lock of a message while it holds words could block a
    deletion of the message that waits for these words, so this one locks all messages first and waits for none.

    Returns:
        The ids of those that still exist. None if another transaction changes one of them, or has changed its owner.
    """
    ids = {"ids": [message_id for _, message_id, _ in rows]}
    locked = (await session.exec(_LOCK, params=ids)).all()
    # A separate statement, because it must see the owners at the time of the lock.
    owners = dict((await session.exec(_OWNERS, params=ids)).all())
    is_current = all(owners.get(message_id, owner) == owner for owner, message_id, _ in rows)
    return locked if is_current and owners.keys() == set(locked) else None


def _values(dialect: str, rows: Sequence[IndexedMessage]) -> dict[UUID, list[Json]]:
    """Return the rows to insert for each message, by its id. A message without words has none."""
    values: dict[UUID, list[Json]] = {}
    for row in rows:
        inserted = REBUILD.attempt_now(row[1], partial(insertion, dialect, [row]))
        values[row[1]] = inserted[1] if inserted is not None else []
    return values


async def _replace(session: AsyncSession, message_id: UUID, values: list[Json]) -> None:
    dialect = session.get_bind().dialect.name
    row_id = message_id.hex if dialect == "sqlite" else str(message_id)
    async with session.begin_nested():
        connection = await session.connection()
        await connection.execute(_DELETE[dialect], {"id": row_id})
        if values:
            await connection.execute(_INSERT[dialect], values)


async def find(session: AsyncSession, owner: UUID, terms: Sequence[Term], page: Page) -> list[tuple[Message, float]]:
    """Return the owner's messages that contain all terms, each with its score, for `paging.connect`.

    They are in the direction of the page. If there are more than its size, one additional message is returned.
    """
    dialect = session.get_bind().dialect.name
    query = _sqlite_query(owner, terms) if dialect == "sqlite" else _postgresql_query(owner, terms)
    parameters: Json = {"query": query, "ranked": RANKED, "size": page.size + 1}
    for argument, page_cursor in (("after", page.after), ("before", page.before)):
        score, row_id = (None, None) if page_cursor is None else _decode_position(argument, page_cursor)
        parameters[f"{argument}_score"] = score
        parameters[f"{argument}_id"] = row_id and (row_id.hex if dialect == "sqlite" else str(row_id))
    connection = await session.connection()
    rows = await connection.execute(_SEARCH[dialect][page.backward], parameters)
    scores = {_uuid(row[0]): float(row[1]) for row in rows}
    messages_by_id = await messages.get_many(session, owner, list(scores))
    return [(messages_by_id[message_id], score) for message_id, score in scores.items() if message_id in messages_by_id]


def cursor(message: Message, score: float) -> str:
    """Return the cursor of a search result."""
    return encode_cursor(repr(score), str(message.id))


def _decode_position(argument: str, page_cursor: str) -> tuple[float, UUID]:
    score, row_id = decode_cursor(argument, page_cursor, 2)
    try:
        return float(score), UUID(row_id)
    except ValueError:
        raise PageError(argument, "is not a cursor of this list.") from None


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))


def _sqlite_query(owner: UUID, terms: Sequence[Term]) -> str:
    # Words consist only of letters, digits and marks, so they cannot contain FTS5 syntax.
    phrases = [f'words : "{" ".join(term.words)}"{"*" if term.prefix else ""}' for term in terms]
    return " AND ".join([f'owner : "{owner.hex}"', *phrases])


def _postgresql_query(owner: UUID, terms: Sequence[Term]) -> str:
    conditions = [f"'@{owner.hex}'"]
    for term in terms:
        quoted = [f"'{word}'" for word in term.words]
        conditions.append("(" + " <-> ".join(quoted) + (":*" if term.prefix else "") + ")")
    return " & ".join(conditions)


def _vector(owner: UUID, words: Sequence[str]) -> str:
    positions_by_word: dict[str, list[str]] = {}
    size = 0
    for position, word in enumerate(words, 1):
        size += POSITION_BYTES if word in positions_by_word else len(word.encode()) + WORD_BYTES
        if size > MAX_BYTES:
            break
        positions = positions_by_word.setdefault(word, [])
        if len(positions) < MAX_POSITIONS:
            positions.append(str(min(position, 16_383)))
    # The word of the owner has no position, so that it never matches as part of a phrase.
    return " ".join(
        [f"'@{owner.hex}'", *(f"'{word}':{','.join(positions)}" for word, positions in positions_by_word.items())]
    )
