"""Full-text search over an owner's messages: FTS5 on SQLite, a tsvector with GIN on PostgreSQL.

Either holds the words that `db.words` makes, and the owner as one more of them, so that an owner's words are found
without reading anybody else's. Of very many matches, only the newest are ranked.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import TextClause, or_, text
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import messages
from tertulia.db.database import Database
from tertulia.db.paging import Page, PageError, decode_cursor, encode_cursor
from tertulia.db.tables import UNFINISHED, Conversation, Generation, Message
from tertulia.db.words import VERSION, Term, bare_words
from tertulia.isolation import ItemLoop
from tertulia.json import Json

RANKED = 1000
"""The newest matches, of which the best come first."""
MAX_PLACES = 250
"""Of one word in one message: PostgreSQL keeps no more."""
MAX_BYTES = 900_000
"""Of one message's words: PostgreSQL refuses a megabyte. What stands behind them is not found."""
MAX_CHARACTERS = 1_000_000
"""Of one message's text, on either database: a list of words takes ten times the memory of its text."""
WORD_BYTES, PLACE_BYTES = 8, 2
LONG_TEXT = 5_000
"""Characters of which the words are found in a thread: a character takes up to a microsecond."""
AT_ONCE = 20
"""Messages that are indexed again in one transaction."""

PAUSE = 0.1
"""Seconds between two of these transactions."""
REBUILD = ItemLoop("search.rebuild")


class SearchRebuild(SQLModel, table=True):
    """How far messages of earlier versions are indexed by the rules of a version of `db.words`."""

    __tablename__: ClassVar[Any] = "search_rebuilds"

    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    # The last message; none before the first.
    after: UUID | None = None
    finished: bool = False


_INSERT = {
    "sqlite": text("INSERT INTO message_words (id, owner, words) VALUES (:id, :owner, :words)"),
    "postgresql": text(
        "INSERT INTO message_words (message_id, words) VALUES (CAST(:id AS uuid), CAST(:words AS tsvector))"
        " ON CONFLICT (message_id) DO UPDATE SET words = EXCLUDED.words"
    ),
}
_FORGET = {
    "sqlite": text(
        "DELETE FROM message_words WHERE rowid IN"
        " (SELECT rowid FROM message_words WHERE message_words MATCH 'id : \"' || :id || '\"')"
    ),
    "postgresql": text("DELETE FROM message_words WHERE message_id = CAST(:id AS uuid)"),
}


_FINISHED = (
    select(Message, Conversation.owner_id)
    .join(Conversation, col(Conversation.id) == col(Message.conversation_id))
    .outerjoin(Generation, col(Generation.message_id) == col(Message.id))
    .where(~col(Conversation.temporary), or_(col(Generation.id).is_(None), col(Generation.status).not_in(UNFINISHED)))
    .order_by(col(Message.id))
    .limit(AT_ONCE)
)
"""The next messages in the order of their ids; those that are being written are indexed when they end."""
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
"""The condition of a cursor: the best matches have the highest scores, so `after` asks for lower ones."""


def _search(dialect: str, direction: str) -> TextClause:
    bounds = " AND ".join(_BOUND[dialect].format(*bound) for bound in (("after", "<"), ("before", ">")))
    return text(
        f"SELECT id, score FROM ({_RANKING[dialect]}) AS newest WHERE {bounds}"  # noqa: S608 - constants alone
        f" ORDER BY score {direction}, id {direction} LIMIT :size"
    )


_SEARCH = {dialect: {False: _search(dialect, "DESC"), True: _search(dialect, "ASC")} for dialect in _RANKING}
"""By dialect, and by whether the page is counted from the end."""


Added = tuple[UUID, UUID, Sequence[Json]]
"""The owner, the message, and its content."""
Insertion = tuple[TextClause, list[Json]]
"""A statement, and what it is executed with."""


async def add(session: AsyncSession, *added: Added) -> None:
    """Let messages be found by the words of their text blocks, each of them once."""
    dialect = session.get_bind().dialect.name
    long = sum(len(text) for _, _, content in added for text in _texts(content)) > LONG_TEXT
    await execute(session, await asyncio.to_thread(insertion, dialect, added) if long else insertion(dialect, added))


async def execute(session: AsyncSession, insertion: Insertion) -> None:
    """Execute what `insertion` has returned, perhaps in a thread: finding the words of long messages takes time."""
    statement, rows = insertion
    if rows:
        connection = await session.connection()
        await connection.execute(statement, rows)


def insertion(dialect: str, added: Iterable[Added]) -> Insertion:
    """Give what `add` executes, and with what."""
    rows: list[Json] = []
    for owner, message_id, content in added:
        found = [word for text in _texts(content) for word in bare_words(text)]
        if found and dialect == "sqlite":
            rows.append({"id": message_id.hex, "owner": owner.hex, "words": " ".join(found)})
        elif found:
            rows.append({"id": str(message_id), "words": _vector(owner, found)})
    return _INSERT[dialect], rows


def _texts(content: Sequence[Json]) -> Iterator[str]:
    left = MAX_CHARACTERS
    for block in content:
        text = block.get("text") if block.get("type") == "text" else None
        if isinstance(text, str) and left > 0:
            yield text[:left]
            left -= len(text)


async def rebuild(database: Database) -> None:
    """Index again all messages that an earlier version may have indexed by other rules.

    What has been done is kept in the table `search_rebuilds`, and each step is a separate transaction, so that it may
    end anywhere, and several replicas may take turns.
    """
    more = True
    while more:
        more = await _rebuild_some(database)
        await asyncio.sleep(PAUSE if more else 0)


async def _rebuild_some(database: Database) -> bool:
    """Index the next messages; False once all are done."""
    async with database.read() as session:
        progress = await session.get(SearchRebuild, VERSION)
        if progress is not None and progress.finished:
            return False
        after = None if progress is None else progress.after
        query = _FINISHED if after is None else _FINISHED.where(col(Message.id) > after)
        found = (await session.exec(query)).all()
    if progress is None and not found:
        return False  # a new database: nothing to note yet
    rows: list[Added] = [(owner, message.id, message.content) for message, owner in found]
    values = await asyncio.to_thread(_values, database.engine.dialect.name, rows)
    async with database.write() as session:
        progress = await session.get(SearchRebuild, VERSION, with_for_update=True) or SearchRebuild(version=VERSION)
        if progress.after != after or progress.finished:
            return True  # another replica has done these
        kept = await session.exec(select(Message.id).where(col(Message.id).in_([row[1] for row in rows])))
        for message_id in kept.all():
            await REBUILD.attempt(message_id, partial(_replace, session, message_id, values[message_id]))
        progress.after, progress.finished = (rows[-1][1], False) if rows else (after, True)
        session.add(progress)
    return True


def _values(dialect: str, rows: Sequence[Added]) -> dict[UUID, list[Json]]:
    """Return what is inserted for each message: nothing for one without words."""
    values: dict[UUID, list[Json]] = {}
    for row in rows:
        inserted = REBUILD.attempt_now(row[1], partial(insertion, dialect, [row]))
        values[row[1]] = inserted[1] if inserted is not None else []
    return values


async def _replace(session: AsyncSession, message_id: UUID, values: list[Json]) -> None:
    dialect = session.get_bind().dialect.name
    shown = message_id.hex if dialect == "sqlite" else str(message_id)
    async with session.begin_nested():
        connection = await session.connection()
        await connection.execute(_FORGET[dialect], {"id": shown})
        if values:
            await connection.execute(_INSERT[dialect], values)


async def find(session: AsyncSession, owner: UUID, wanted: Sequence[Term], page: Page) -> list[tuple[Message, float]]:
    """Return the owner's messages that contain all the terms, each with its score, for `paging.connect`.

    They are in the direction of the page, and one more than its size where there are more.
    """
    dialect = session.get_bind().dialect.name
    query = _sqlite_query(owner, wanted) if dialect == "sqlite" else _postgresql_query(owner, wanted)
    parameters: Json = {"query": query, "ranked": RANKED, "size": page.size + 1}
    for argument, given in (("after", page.after), ("before", page.before)):
        score, row_id = (None, None) if given is None else _place(argument, given)
        parameters[f"{argument}_score"] = score
        parameters[f"{argument}_id"] = row_id and (row_id.hex if dialect == "sqlite" else str(row_id))
    connection = await session.connection()
    rows = await connection.execute(_SEARCH[dialect][page.backward], parameters)
    scores = {_uuid(row[0]): float(row[1]) for row in rows}
    found = await messages.get_many(session, owner, list(scores))
    return [(found[message_id], score) for message_id, score in scores.items() if message_id in found]


def cursor(message: Message, score: float) -> str:
    """Name a message's place in what was found."""
    return encode_cursor(repr(score), str(message.id))


def _place(argument: str, given: str) -> tuple[float, UUID]:
    score, row_id = decode_cursor(argument, given, 2)
    try:
        return float(score), UUID(row_id)
    except ValueError:
        raise PageError(argument, "is not a cursor of this list") from None


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))


def _sqlite_query(owner: UUID, wanted: Sequence[Term]) -> str:
    # Words hold letters, digits and marks alone, so nothing in them can be FTS5's syntax.
    asked = [f'words : "{" ".join(term.words)}"{"*" if term.prefix else ""}' for term in wanted]
    return " AND ".join([f'owner : "{owner.hex}"', *asked])


def _postgresql_query(owner: UUID, wanted: Sequence[Term]) -> str:
    asked = [f"'@{owner.hex}'"]
    for term in wanted:
        quoted = [f"'{word}'" for word in term.words]
        asked.append("(" + " <-> ".join(quoted) + (":*" if term.prefix else "") + ")")
    return " & ".join(asked)


def _vector(owner: UUID, found: Sequence[str]) -> str:
    places: dict[str, list[str]] = {}
    size = 0
    for place, word in enumerate(found, 1):
        size += PLACE_BYTES if word in places else len(word.encode()) + WORD_BYTES
        if size > MAX_BYTES:
            break
        held = places.setdefault(word, [])
        if len(held) < MAX_PLACES:
            held.append(str(min(place, 16_383)))
    # The owner's own word has no place: it counts for no phrase.
    return " ".join([f"'@{owner.hex}'", *(f"'{word}':{','.join(held)}" for word, held in places.items())])
