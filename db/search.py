"""Full-text search over an owner's messages: FTS5 on SQLite, a tsvector with GIN on PostgreSQL.

Either holds the words that `db.words` makes, and the owner as one more of them, so that an owner's words are found
without reading anybody else's. Of very many matches, only the newest are ranked.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlmodel.ext.asyncio.session import AsyncSession

from db import messages
from db.paging import PageError, decode_cursor, encode_cursor
from db.tables import Json, Message
from db.words import Term, bare_words

RANKED = 1000
"""The newest matches, of which the best come first."""
MAX_PLACES = 250
"""Of one word in one message: PostgreSQL keeps no more."""
MAX_BYTES = 900_000
"""Of one message's words: PostgreSQL refuses a megabyte. What stands behind them is not found."""
MAX_CHARACTERS = 1_000_000
"""Of one message's text, on either database: a list of words takes ten times the memory of its text."""
WORD_BYTES, PLACE_BYTES = 8, 2

_INSERT = {
    "sqlite": text("INSERT INTO message_words (id, owner, words) VALUES (:id, :owner, :words)"),
    "postgresql": text(
        "INSERT INTO message_words (message_id, words) VALUES (CAST(:id AS uuid), CAST(:words AS tsvector))"
        " ON CONFLICT (message_id) DO UPDATE SET words = EXCLUDED.words"
    ),
}
_SEARCH = {
    "sqlite": text(
        "SELECT id, score FROM ("
        " SELECT id, -bm25(message_words, 0.0, 0.0, 1.0) AS score FROM message_words"
        " WHERE message_words MATCH :query ORDER BY rowid DESC LIMIT :ranked)"
        " WHERE :score IS NULL OR score < :score OR (score = :score AND id < :id)"
        " ORDER BY score DESC, id DESC LIMIT :size"
    ),
    "postgresql": text(
        "SELECT id, score FROM ("
        " SELECT message_id AS id, CAST(ts_rank(words, asked, 1) AS double precision) AS score"
        " FROM message_words, CAST(:query AS tsquery) AS asked"
        " WHERE words @@ asked ORDER BY message_id DESC LIMIT :ranked) AS newest"
        " WHERE CAST(:score AS double precision) IS NULL OR score < CAST(:score AS double precision)"
        " OR (score = CAST(:score AS double precision) AND id < CAST(:id AS uuid))"
        " ORDER BY score DESC, id DESC LIMIT :size"
    ),
}


Added = tuple[UUID, UUID, Sequence[Json]]
"""The owner, the message, and its content."""
Insertion = tuple[TextClause, list[Json]]
"""A statement, and what it is executed with."""


async def add(session: AsyncSession, *added: Added) -> None:
    """Let messages be found by the words of their text blocks, each of them once."""
    await execute(session, insertion(session.get_bind().dialect.name, added))


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


async def find(
    session: AsyncSession, owner: UUID, wanted: Sequence[Term], size: int, after: str | None
) -> list[tuple[Message, float]]:
    """Give the owner's messages that hold all the terms, each with its score, best first, from behind a cursor on."""
    score, row_id = (None, None) if after is None else _place(after)
    dialect = session.get_bind().dialect.name
    query = _sqlite_query(owner, wanted) if dialect == "sqlite" else _postgresql_query(owner, wanted)
    parameters: Json = {"query": query, "ranked": RANKED, "size": size, "score": score, "id": None}
    if row_id is not None:
        parameters["id"] = row_id.hex if dialect == "sqlite" else str(row_id)
    connection = await session.connection()
    scores = {_uuid(row[0]): float(row[1]) for row in await connection.execute(_SEARCH[dialect], parameters)}
    found = await messages.get_many(session, owner, list(scores))
    return [(found[message_id], score) for message_id, score in scores.items() if message_id in found]


def cursor(message: Message, score: float) -> str:
    """Name a message's place in what was found."""
    return encode_cursor(repr(score), str(message.id))


def _place(after: str) -> tuple[float, UUID]:
    score, row_id = decode_cursor("after", after, 2)
    try:
        return float(score), UUID(row_id)
    except ValueError:
        raise PageError("after", "is not a cursor of this list") from None


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
