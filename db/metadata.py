"""The index of conversations by their metadata, which is the same on both databases.

Each value of the metadata, with its path, is a term. A conversation contains an object if it has all terms of the
object. The index begins with the owner, so that a query reads no terms of other owners, and only those that it names.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BindParameter, Index, Select, delete, func, true
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.inserting import insert
from tertulia.db.tables import Conversation
from tertulia.json import Json, encode, is_list, is_object

ITEM = 0
"""The step of a path from a list to any of its items. The steps from objects are keys, which are strings."""
TERM_CHARACTERS = 32
TAGS = "tags"
"""The key of the metadata that has a conversation's tags: a list of texts."""
MAX_TAGGED = 1000
"""The number of conversations whose tags are counted, the most recently active ones."""
MAX_TAGS = 100
"""The number of tags that are returned."""


class MetadataTerm(SQLModel, table=True):
    """A value in the metadata of a conversation, as a hash of its path and the value."""

    __tablename__: ClassVar[Any] = "metadata_terms"
    __table_args__: ClassVar[Any] = (Index("metadata_terms_by_conversation", "conversation_id"),)

    owner_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", primary_key=True)
    term: str = Field(primary_key=True)
    conversation_id: UUID = Field(foreign_key="conversations.id", ondelete="CASCADE", primary_key=True)


@dataclass(frozen=True, slots=True)
class TagCount:
    """A tag, and the number of conversations that have it."""

    name: str
    count: int


class ContainerInList(ValueError):
    """A filter contains an object or a list inside a list. The index does not contain their values."""


def terms_of(metadata: Json) -> set[str]:
    """Return the terms of a conversation's metadata."""
    return set(_terms(metadata, (), skip=True))


def filter_terms(contains: Json) -> frozenset[str]:
    """Return the terms that a conversation must have to contain an object; raise ContainerInList."""
    return frozenset(_terms(contains, (), skip=False))


def tags_in(metadata: Json) -> list[str]:
    """Return the tags in the metadata of a conversation, each once."""
    return _texts(metadata.get(TAGS))


async def tags(session: AsyncSession, owner: UUID) -> list[TagCount]:
    """Return the tags of the owner's conversations that are not temporary, the most used first."""
    tagged = containing(owner, [_term((TAGS,), "list")])
    query = (
        select(col(Conversation.app_metadata)[TAGS])
        .where(col(Conversation.id).in_(tagged), col(Conversation.temporary) != true())
        .order_by(col(Conversation.updated_at).desc())
        .limit(MAX_TAGGED)
    )
    counts = Counter(tag for value in (await session.exec(query)).all() for tag in _texts(value))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [TagCount(name, count) for name, count in ordered[:MAX_TAGS]]


async def add(session: AsyncSession, owner: UUID, conversation_id: UUID, metadata: Json) -> None:
    """Index the metadata of a conversation that is not indexed yet."""
    terms = sorted(terms_of(metadata))
    if terms:
        rows = [MetadataTerm(owner_id=owner, term=term, conversation_id=conversation_id) for term in terms]
        await insert(session, rows)


async def replace(session: AsyncSession, owner: UUID, conversation_id: UUID, metadata: Json) -> None:
    """Replace the indexed metadata of the owner's conversation."""
    mine = col(MetadataTerm.owner_id) == owner, col(MetadataTerm.conversation_id) == conversation_id
    await session.exec(delete(MetadataTerm).where(*mine))
    await add(session, owner, conversation_id, metadata)


def containing(owner: UUID | BindParameter[Any], terms: Sequence[str]) -> Select[Any]:
    """Return the query for the ids of the owner's conversations that have all of the terms."""
    return (
        select(MetadataTerm.conversation_id)
        .where(col(MetadataTerm.owner_id) == owner, col(MetadataTerm.term).in_(terms))
        .group_by(col(MetadataTerm.conversation_id))
        .having(func.count() == len(terms))
    )


def _texts(value: Any) -> list[str]:
    return list(dict.fromkeys(item for item in value if isinstance(item, str))) if is_list(value) else []


def _terms(value: Any, path: tuple[str | int, ...], *, skip: bool) -> Iterator[str]:
    """Yield the terms of a value. Containers in lists are skipped, or raise ContainerInList."""
    if is_object(value):
        if path:
            yield _term(path, "object")
        for key, part in value.items():
            yield from _terms(part, (*path, key), skip=skip)
    elif is_list(value):
        yield _term(path, "list")
        for item in value:
            if not is_object(item) and not is_list(item):
                yield from _terms(item, (*path, ITEM), skip=skip)
            elif not skip:
                raise ContainerInList
    else:
        # Equal numbers have the same term, also if one is written as 1 and the other as 1.0.
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        yield _term(path, "value", number)


def _term(path: tuple[str | int, ...], kind: str, value: Any = None) -> str:
    return hashlib.sha256(encode([path, kind, value])).hexdigest()[:TERM_CHARACTERS]
