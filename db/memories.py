"""Memories: the files that Claude writes for a viewer with the memory tool. Each assistant has separate files.

There are no rows for folders: a folder exists as long as a path begins with its own.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ColumnElement, Index, Text, delete, func, literal, or_, update
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.paging import Connection, Page, connect, decode_id, encode_cursor
from tertulia.db.tables import METADATA, UtcDateTime, new_id, now
from tertulia.json import clean_text


def _time() -> Any:
    return Field(default_factory=now, sa_type=UtcDateTime, nullable=False)


class Memory(SQLModel, table=True):
    """A file of an assistant's memory of a user."""

    __tablename__: ClassVar[Any] = "memories"
    __table_args__: ClassVar[Any] = (
        Index("memories_by_path", "owner_id", "assistant", "path", unique=True),
        Index("memories_by_owner", "owner_id", "id"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    owner_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", nullable=False)
    # The id of the assistant, which may no longer exist.
    assistant: str
    # Such as `/memories/preferences.md`.
    path: str
    content: str = Field(sa_type=Text)
    size_bytes: int
    created_at: datetime = _time()
    updated_at: datetime = _time()


_MEMORIES = METADATA.tables["memories"]


def file_of(owner: UUID, assistant: str, path: str, content: str) -> Memory:
    """Return a new file, without storing it."""
    return Memory(owner_id=owner, assistant=assistant, path=path, content=content, size_bytes=len(content.encode()))


async def sizes(session: AsyncSession, owner: UUID, assistant: str) -> dict[str, int]:
    """Return the size of each file in bytes by path, in the order of the paths."""
    query = select(Memory.path, Memory.size_bytes).where(Memory.owner_id == owner, Memory.assistant == assistant)
    return dict(sorted((path, size) for path, size in (await session.exec(query)).all()))


async def at_path(session: AsyncSession, owner: UUID, assistant: str, path: str) -> Memory | None:
    """Return the file at a path."""
    query = select(Memory).where(Memory.owner_id == owner, Memory.assistant == assistant, Memory.path == path)
    return (await session.exec(query)).one_or_none()


async def get(session: AsyncSession, owner: UUID, memory_id: UUID) -> Memory | None:
    """Return the owner's file with this id."""
    return (await session.exec(select(Memory).where(Memory.owner_id == owner, Memory.id == memory_id))).one_or_none()


async def all_of(session: AsyncSession, owner: UUID) -> Sequence[Memory]:
    """Return all files of an owner, oldest first."""
    return (await session.exec(select(Memory).where(Memory.owner_id == owner).order_by(col(Memory.id)))).all()


async def page(session: AsyncSession, owner: UUID, page: Page, assistant: str | None = None) -> Connection[Memory]:
    """Return a page of the owner's files, or of those of one assistant, newest first."""
    query = select(Memory).where(Memory.owner_id == owner)
    if assistant is not None:
        query = query.where(Memory.assistant == clean_text(assistant))
    if page.after is not None:
        query = query.where(col(Memory.id) < decode_id("after", page.after))
    if page.before is not None:
        query = query.where(col(Memory.id) > decode_id("before", page.before))
    order = col(Memory.id).asc() if page.backward else col(Memory.id).desc()
    rows = (await session.exec(query.order_by(order).limit(page.size + 1))).all()
    return connect(rows, page, lambda memory: encode_cursor(str(memory.id)))


async def write(session: AsyncSession, memory: Memory, content: str) -> None:
    """Replace the content of a file. The caller has locked the owner and checked the size."""
    memory.content, memory.size_bytes, memory.updated_at = content, len(content.encode()), now()
    session.add(memory)
    await session.flush()


async def remove(session: AsyncSession, owner: UUID, memory_id: UUID) -> bool:
    """Delete the owner's file with this id. Return whether it existed."""
    mine = _MEMORIES.c.owner_id == owner, _MEMORIES.c.id == memory_id
    return bool((await session.exec(delete(_MEMORIES).where(*mine))).rowcount)


async def remove_path(session: AsyncSession, owner: UUID, assistant: str, path: str) -> bool:
    """Delete a file, or a folder with its files. Return whether it existed."""
    return bool((await session.exec(delete(_MEMORIES).where(*_within(owner, assistant, path)))).rowcount)


async def rename(session: AsyncSession, owner: UUID, assistant: str, old: str, new: str) -> bool:
    """Move a file, or a folder with its files, to a path that does not exist yet. Return whether it existed."""
    path = literal(new).concat(func.substr(_MEMORIES.c.path, len(old) + 1))
    moving = update(_MEMORIES).where(*_within(owner, assistant, old)).values(path=path, updated_at=now())
    return bool((await session.exec(moving)).rowcount)


async def move_guest(session: AsyncSession, guest: UUID, owner: UUID) -> None:
    """Put a guest's files into a folder of their own, so that they can be moved to an owner who has files already."""
    path = literal(f"/memories/guest-{guest.hex[-12:]}").concat(func.substr(_MEMORIES.c.path, len("/memories") + 1))
    remembering = select(_MEMORIES.c.assistant).where(_MEMORIES.c.owner_id == owner)
    clashing = _MEMORIES.c.owner_id == guest, _MEMORIES.c.assistant.in_(remembering)
    await session.exec(update(_MEMORIES).where(*clashing).values(path=path))


def _within(owner: UUID, assistant: str, path: str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for the file at a path, or the files in a folder."""
    # Not LIKE: it ignores case on SQLite, and has wildcards.
    is_inside = func.substr(_MEMORIES.c.path, 1, len(path) + 1) == f"{path}/"
    is_here = or_(_MEMORIES.c.path == path, is_inside)
    return _MEMORIES.c.owner_id == owner, _MEMORIES.c.assistant == assistant, is_here
