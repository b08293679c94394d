"""Leases: which process writes a generation, and what happens to those whose process is gone.

A holder writes only where the row still names it: whoever has lost the lease changes nothing. All of these serve the
generator, so none takes an owner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy
from sqlalchemy import ColumnElement, and_, bindparam, exists, literal, or_, update
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.tables import (
    METADATA,
    TOKEN_COUNTS,
    UNFINISHED,
    Conversation,
    Generation,
    Message,
    Status,
    User,
    now,
)
from tertulia.db.tool_calls import CallStatus, ToolCall
from tertulia.json import Json

# The tables themselves: of a class, SQLAlchemy would also look for rows in the session, of which there are none here.
_GENERATIONS, _MESSAGES = (METADATA.tables[model.__tablename__] for model in (Generation, Message))
CLAIMED_AT_ONCE = 50
STARTING = timedelta(seconds=5)
"""A generation at the head of its line that nobody began for so long was forgotten."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a holder learns when it renews."""

    stop_requested: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a generation stands."""

    owner_id: UUID
    conversation_id: UUID
    message_id: UUID
    temporary: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """What an answer holds so far."""

    generation_id: UUID
    message_id: UUID
    sequence: int
    first_token_at: datetime | None
    content: list[Json]
    usage: dict[str, int]


# Statements that each answer executes are built once; the columns that are set are those of the parameters.
_UNFINISHED = _GENERATIONS.c.status.in_(UNFINISHED)
_RENEW = (
    update(_GENERATIONS)
    .where(_GENERATIONS.c.id == bindparam("renewed"), _GENERATIONS.c.holder == bindparam("by"), _UNFINISHED)
    .returning(_GENERATIONS.c.stop_requested)
)
_WRITE_ANSWER = update(_MESSAGES).where(_MESSAGES.c.id == bindparam("of_message"))
_BEHIND = (
    sqlalchemy.select(_GENERATIONS.c.id)
    .where(_GENERATIONS.c.waits_for == bindparam("ended"), _UNFINISHED)
    .order_by(_GENERATIONS.c.id)
)


async def renew(session: AsyncSession, generation_id: UUID, holder: UUID, values: dict[str, Any]) -> Held | None:
    """Set columns, the lease's end among them; None where the lease is lost, or the generation has ended."""
    connection = await session.connection()
    found = (await connection.execute(_RENEW, {**values, "renewed": generation_id, "by": holder})).one_or_none()
    return None if found is None else Held(found[0])


async def renew_all(
    session: AsyncSession, generation_ids: Sequence[UUID], holder: UUID, until: datetime
) -> dict[UUID, Held]:
    """Renew many leases in one statement; those that are lost, or have ended, are missing from what it gives."""
    mine = and_(col(Generation.id).in_(generation_ids), col(Generation.holder) == holder, _unfinished())
    renewing = update(_GENERATIONS).where(mine).values(lease_until=until)
    renewed = await session.exec(renewing.returning(col(Generation.id), col(Generation.stop_requested)))
    return {generation_id: Held(stop_requested) for generation_id, stop_requested in renewed.all()}


async def save_progress(session: AsyncSession, progress: Sequence[Progress]) -> None:
    """Store what many answers hold so far; only together with leases that were just renewed."""
    if not progress:
        return
    connection = await session.connection()
    await connection.execute(
        update(_GENERATIONS)
        .where(_GENERATIONS.c.id == bindparam("of_generation"))
        .values(
            sequence=bindparam("written"),
            first_token_at=bindparam("began"),
            **{name: bindparam(f"used_{name}") for name in TOKEN_COUNTS},
        ),
        [
            {
                "of_generation": one.generation_id,
                "written": one.sequence,
                "began": one.first_token_at,
                **{f"used_{name}": one.usage.get(name) for name in TOKEN_COUNTS},
            }
            for one in progress
        ],
    )
    await connection.execute(
        update(_MESSAGES).where(_MESSAGES.c.id == bindparam("of_message")).values(content=bindparam("blocks")),
        [{"of_message": one.message_id, "blocks": one.content} for one in progress],
    )


async def write_answer(session: AsyncSession, message_id: UUID, content: list[Json]) -> None:
    """Store what the answer holds so far; only together with a lease that was just renewed."""
    connection = await session.connection()
    await connection.execute(_WRITE_ANSWER, {"of_message": message_id, "content": content})


async def end_as_failed(
    session: AsyncSession, generation_id: UUID, holder: UUID, error: Json, sequence: int | None
) -> int | None:
    """End a generation with nothing but its error, and return the number of its last event.

    `sequence`: that number, None for the one after the last that was saved. Returns None where the lease is lost, or
    the generation has ended.
    """
    number = _GENERATIONS.c.sequence + 1 if sequence is None else literal(sequence)
    mine = (_GENERATIONS.c.id == generation_id, _GENERATIONS.c.holder == holder, _UNFINISHED)
    values = {"status": Status.FAILED, "error": error, "finished_at": now(), "sequence": number}
    ending = update(_GENERATIONS).where(*mine).values(**values, reserved=None, tools_expire_at=None)
    return (await session.exec(ending.returning(_GENERATIONS.c.sequence))).scalar_one_or_none()


async def claim(session: AsyncSession, generation_id: UUID, holder: UUID, until: datetime) -> bool:
    """Take an unfinished generation that nobody holds; say whether that succeeded."""
    free = and_(col(Generation.id) == generation_id, _unfinished(), _unheld())
    return bool(
        (await session.exec(update(_GENERATIONS).where(free).values(holder=holder, lease_until=until))).rowcount
    )


async def claim_following(session: AsyncSession, ended: UUID, holder: UUID, until: datetime) -> list[UUID]:
    """Take all that waited for a generation that has ended, oldest first. The owner is locked.

    One that ended while it waited itself leaves its place in the line to them.
    """
    connection = await session.connection()
    waiting = (await connection.execute(_BEHIND, {"ended": ended})).scalars().all()
    if not waiting:
        return []
    front = await _in_front(session, ended)
    if front is not None:
        await session.exec(update(_GENERATIONS).where(col(Generation.id).in_(waiting)).values(waits_for=front))
        return []
    return [one for one in waiting if await claim(session, one, holder, until)]


async def _in_front(session: AsyncSession, generation_id: UUID) -> UUID | None:
    front = aliased(Generation)
    query = select(front.id).join(Generation, col(Generation.waits_for) == col(front.id))
    query = query.where(Generation.id == generation_id, col(front.status).in_(UNFINISHED))
    return (await session.exec(query)).one_or_none()


async def claim_lapsed(
    session: AsyncSession, holder: UUID, until: datetime, own: Sequence[UUID] = (), *, everything: bool
) -> list[UUID]:
    """Take what lost its process: leases that have lapsed, heads of lines that nobody began, and what waited for tools.

    That is what has waited too long, or waits for nothing any more.

    `own`: what the holder writes already, which is left out: a lease that it gets back here may have been another
    process's in between, of whose work the holder would know nothing.
    `everything`: also what another process still holds, for a server that is the only one by its configuration.
    """
    of_others = and_(literal(everything), col(Generation.holder) != holder)
    lost = and_(col(Generation.holder).is_not(None), or_(of_others, col(Generation.lease_until) < now()))
    awaiting = col(Generation.status) == Status.AWAITING_TOOL_RESULTS
    ready = and_(awaiting, _unheld(), or_(col(Generation.tools_expire_at) <= now(), ~_somebody_to_wait_for()))
    forgotten = and_(
        col(Generation.holder).is_(None),
        ~awaiting,
        or_(literal(everything), col(Generation.created_at) < now() - STARTING),
        ~_somebody_in_front(),
    )
    query = (
        select(Generation.id)
        .where(_unfinished(), or_(lost, forgotten, ready), col(Generation.id).not_in(own))
        .order_by(col(Generation.id))
        .limit(CLAIMED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    found = list((await session.exec(query)).all())
    if found:
        taking = update(_GENERATIONS).where(col(Generation.id).in_(found))
        await session.exec(taking.values(holder=holder, lease_until=until))
    return found


async def request_stop(session: AsyncSession, generation_id: UUID) -> None:
    """Leave word for the holder, who reads it when it renews, and for whoever takes over."""
    await session.exec(
        update(_GENERATIONS).where(col(Generation.id) == generation_id, _unfinished()).values(stop_requested=True)
    )


_OWNER = select(User.id).where(User.id == bindparam("owner")).with_for_update(key_share=True)
_PLACE = (
    select(User.id, Generation.conversation_id, Generation.message_id, Conversation.temporary)
    .join(Conversation, col(Conversation.owner_id) == col(User.id))
    .join(Generation, col(Generation.conversation_id) == col(Conversation.id))
    .where(Generation.id == bindparam("generation"))
    .with_for_update(key_share=True, of=User)
)


async def lock_owner(session: AsyncSession, owner: UUID) -> None:
    """Let no other transaction that changes this owner's conversations run beside this one."""
    # SQLite has one writer at a time: whoever writes has locked everything.
    if session.get_bind().dialect.name != "sqlite":
        await session.exec(_OWNER, params={"owner": owner})


async def lock_owner_of(session: AsyncSession, generation_id: UUID) -> Place | None:
    """The same, for the owner of a generation; gives where it stands, None where it is gone."""
    found = (await session.exec(_PLACE, params={"generation": generation_id})).one_or_none()
    return None if found is None else Place(*found)


async def status_of(session: AsyncSession, generation_id: UUID) -> Status | None:
    """Give where a generation stands; None where it is gone."""
    found = (await session.exec(select(Generation.status).where(Generation.id == generation_id))).one_or_none()
    return None if found is None else Status(found)


def _somebody_to_wait_for() -> ColumnElement[bool]:
    waits = col(ToolCall.status) == CallStatus.WAITING
    return exists().where(col(ToolCall.generation_id) == col(Generation.id), waits)


def _unfinished() -> ColumnElement[bool]:
    return col(Generation.status).in_(UNFINISHED)


def _unheld() -> ColumnElement[bool]:
    return or_(col(Generation.holder).is_(None), col(Generation.lease_until) < now())


def _somebody_in_front() -> ColumnElement[bool]:
    other = aliased(Generation)
    return exists().where(
        col(other.id) == col(Generation.waits_for),
        col(other.status).in_(UNFINISHED),
    )
