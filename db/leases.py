"""Leases: which process writes a generation, and how another process takes it over.

A process changes a generation only while the row names it as the holder. These queries serve the processes that write
answers and not viewers, so they are not limited to an owner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy
from sqlalchemy import Boolean, ColumnElement, and_, bindparam, exists, literal, or_, update
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import answer_tails, outbox
from tertulia.db.ownership import some_of
from tertulia.db.statements import defer, fetch
from tertulia.db.tables import (
    METADATA,
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

# Tables instead of classes: for a class, SQLAlchemy would also search the session, which contains no rows here.
_GENERATIONS, _MESSAGES = (METADATA.tables[model.__tablename__] for model in (Generation, Message))
CLAIMED_AT_ONCE = 50
"""The maximum number of leases that `claim_lapsed` acquires in one call."""
START_TIMEOUT = timedelta(seconds=5)
"""A generation that waits for no other one is taken over if its process has not started it within this time."""


@dataclass(frozen=True, slots=True)
class RenewedLease:
    """A lease that is still held, whether a stop of its generation was requested, and the event that is saved last."""

    stop_requested: bool
    sequence: int


@dataclass(frozen=True, slots=True)
class GenerationLocation:
    """The owner, conversation, message and plan of a generation, and whether the conversation is temporary."""

    owner_id: UUID
    conversation_id: UUID
    message_id: UUID
    temporary: bool
    plan: str | None = None


@dataclass(frozen=True, slots=True)
class FinishedGeneration:
    """The location of a generation that has just ended, and whether another generation waits for its end."""

    location: GenerationLocation
    has_following: bool


def _is_one_of(table: Any, statuses: Sequence[Status]) -> ColumnElement[bool]:
    # SQLAlchemy renders `IN` for each execution, so `db.statements` does not support it.
    return or_(*(table.c.status == status for status in statuses))


# These statements are built once, because each answer executes them. `_RENEW` and `_WRITE_ANSWER` set the columns that
# the parameters of an execution name.
_UNFINISHED = _GENERATIONS.c.status.in_(UNFINISHED)
_HELD = update(_GENERATIONS).where(
    _GENERATIONS.c.id == bindparam("renewed"),
    _GENERATIONS.c.holder == bindparam("by"),
    _is_one_of(_GENERATIONS, UNFINISHED),
)
_LOCK = (
    sqlalchemy.select(_GENERATIONS.c.id)
    .where(some_of(_GENERATIONS.c.id), _GENERATIONS.c.holder == bindparam("by"), _UNFINISHED)
    .order_by(_GENERATIONS.c.id)
    .with_for_update(key_share=True)
)
_LOCK_OF_CONVERSATION = (
    sqlalchemy.select(_GENERATIONS.c.id)
    .where(_GENERATIONS.c.conversation_id == bindparam("conversation"), _UNFINISHED)
    .order_by(_GENERATIONS.c.id)
    .with_for_update()
)
_RENEW = _HELD.returning(_GENERATIONS.c.stop_requested, _GENERATIONS.c.sequence)
_IN_CONVERSATION = METADATA.tables[Conversation.__tablename__].alias()
_FOLLOWERS = _GENERATIONS.alias()
_FINISH = _HELD.returning(
    *(
        sqlalchemy.select(column)
        .where(_IN_CONVERSATION.c.id == _GENERATIONS.c.conversation_id)
        .correlate(_GENERATIONS)
        .scalar_subquery()
        for column in (_IN_CONVERSATION.c.owner_id, _IN_CONVERSATION.c.temporary)
    ),
    _GENERATIONS.c.conversation_id,
    _GENERATIONS.c.message_id,
    _GENERATIONS.c.plan,
    # SQLAlchemy does not qualify the columns of the updated table here, so the condition must not name its id.
    exists().where(_FOLLOWERS.c.waits_for == bindparam("renewed"), _is_one_of(_FOLLOWERS, UNFINISHED)),
)
_WRITE_ANSWER = update(_MESSAGES).where(_MESSAGES.c.id == bindparam("of_message"))
_WRITE_AND_REMOVE_TAIL = _WRITE_ANSWER.add_cte(answer_tails.REMOVE.cte("removed"))
_WAITING_FOR = (
    sqlalchemy.select(_GENERATIONS.c.id)
    .where(_GENERATIONS.c.waits_for == bindparam("ended"), _UNFINISHED)
    .order_by(_GENERATIONS.c.id)
)
_PREDECESSORS = _GENERATIONS.alias()
_HAS_UNFINISHED_PREDECESSOR = exists().where(
    _PREDECESSORS.c.id == _GENERATIONS.c.waits_for, _PREDECESSORS.c.status.in_(UNFINISHED)
)
_HAS_WAITING_CALLS = exists().where(
    col(ToolCall.generation_id) == _GENERATIONS.c.id, col(ToolCall.status) == CallStatus.WAITING
)
_AWAITING_TOOL_RESULTS = _GENERATIONS.c.status == Status.AWAITING_TOOL_RESULTS
_EVERYTHING, _NOW = bindparam("everything", type_=Boolean()), bindparam("now", type_=_GENERATIONS.c.created_at.type)
_LOST = and_(
    _GENERATIONS.c.holder.is_not(None),
    or_(and_(_EVERYTHING, _GENERATIONS.c.holder != bindparam("by")), _GENERATIONS.c.lease_until < _NOW),
)
_UNSTARTED = and_(
    _GENERATIONS.c.holder.is_(None),
    ~_AWAITING_TOOL_RESULTS,
    or_(_EVERYTHING, _GENERATIONS.c.created_at < bindparam("started_before")),
    ~_HAS_UNFINISHED_PREDECESSOR,
)
_READY = and_(
    _AWAITING_TOOL_RESULTS,
    or_(_GENERATIONS.c.holder.is_(None), _GENERATIONS.c.lease_until < _NOW),
    or_(_GENERATIONS.c.tools_expire_at <= _NOW, ~_HAS_WAITING_CALLS),
)
_LAPSED = (
    sqlalchemy.select(_GENERATIONS.c.id)
    .where(_UNFINISHED, or_(_LOST, _UNSTARTED, _READY), _GENERATIONS.c.id.not_in(bindparam("own", expanding=True)))
    .order_by(_GENERATIONS.c.id)
    .limit(CLAIMED_AT_ONCE)
    .with_for_update(skip_locked=True)
)


async def renew(
    session: AsyncSession, generation_id: UUID, holder: UUID, values: dict[str, Any]
) -> RenewedLease | None:
    """Set columns of a generation if the holder still has its lease.

    Args:
        session: The session to use.
        generation_id: The generation.
        holder: The process that should hold the lease.
        values: The new values by column. With `lease_until`, the lease is extended.

    Returns:
        The lease, or None if it is lost or the generation has ended.
    """
    connection = await session.connection()
    row = (await connection.execute(_RENEW, {**values, "renewed": generation_id, "by": holder})).one_or_none()
    return None if row is None else RenewedLease(*row)


async def finish(
    session: AsyncSession, generation_id: UUID, holder: UUID, values: dict[str, Any]
) -> FinishedGeneration | None:
    """Set the final columns of a generation if the holder still has its lease. The caller has locked the owner.

    Returns:
        The generation, or None if the lease is lost, or if the generation has ended or was deleted.
    """
    rows = await fetch(session, _FINISH, {**values, "renewed": generation_id, "by": holder})
    if not rows:
        return None
    owner_id, temporary, conversation_id, message_id, plan, has_following = rows[0]
    return FinishedGeneration(
        GenerationLocation(owner_id, conversation_id, message_id, temporary, plan), bool(has_following)
    )


async def renew_all(
    session: AsyncSession, generation_ids: Sequence[UUID], holder: UUID, until: datetime
) -> dict[UUID, RenewedLease]:
    """Renew many leases in one statement.

    Returns:
        The renewed leases by the generation's id, without those that are lost or whose generation has ended.
    """
    if session.get_bind().dialect.name != "sqlite":
        # An update locks rows in any order. Another transaction that locks several generations would deadlock with it.
        await (await session.connection()).execute(_LOCK, {"ids": list(generation_ids), "by": holder})
    mine = and_(col(Generation.id).in_(generation_ids), col(Generation.holder) == holder, _unfinished())
    renewing = update(_GENERATIONS).where(mine).values(lease_until=until)
    columns = col(Generation.id), col(Generation.stop_requested), col(Generation.sequence)
    return {id: RenewedLease(*row) for id, *row in (await session.exec(renewing.returning(*columns))).all()}


async def write_answer(session: AsyncSession, message_id: UUID, content: list[Json]) -> None:
    """Store the content of an answer, in the transaction that renewed its lease."""
    values: Json = {"of_message": message_id, "content": content}
    if session.get_bind().dialect.name != "sqlite":
        await (await session.connection()).execute(_WRITE_AND_REMOVE_TAIL, values)
        return
    await defer(session, answer_tails.REMOVE, {"of_message": message_id})
    await defer(session, _WRITE_ANSWER, values)


async def end_as_failed(
    session: AsyncSession,
    generation_id: UUID,
    holder: UUID,
    error: Json,
    sequence: int | None,
    *,
    keeps_tail: bool = True,
) -> int | None:
    """End a generation with an error, and store the event of its end.

    Args:
        session: The session to use.
        generation_id: The generation.
        holder: The process that holds its lease.
        error: The error, as it is stored.
        sequence: The number of the terminal event; None for the number after the last saved one.
        keeps_tail: Whether to add the tail of a long answer to its text. The database can refuse that.

    Returns:
        The number of the terminal event, or None if the lease is lost or the generation has ended.
    """
    saved = await answer_tails.find(session, generation_id) if keeps_tail else None
    last = _GENERATIONS.c.sequence if saved is None else literal(saved.sequence)
    number = last + 1 if sequence is None else literal(sequence)
    mine = (_GENERATIONS.c.id == generation_id, _GENERATIONS.c.holder == holder, _UNFINISHED)
    values = {"status": Status.FAILED, "error": error, "finished_at": now(), "sequence": number}
    ending = update(_GENERATIONS).where(*mine).values(**values, reserved=None, tools_expire_at=None)
    number_of_end = (await session.exec(ending.returning(_GENERATIONS.c.sequence))).scalar_one_or_none()
    if number_of_end is not None:
        if saved is not None:
            await write_answer(session, saved.message_id, saved.content)
        await outbox.add_generation(session, generation_id)
    return number_of_end


async def claim(session: AsyncSession, generation_id: UUID, holder: UUID, until: datetime) -> bool:
    """Acquire the lease of an unfinished generation that no process holds. Return whether it was acquired."""
    free = and_(col(Generation.id) == generation_id, _unfinished(), _has_no_holder())
    return bool(
        (await session.exec(update(_GENERATIONS).where(free).values(holder=holder, lease_until=until))).rowcount
    )


async def claim_following(session: AsyncSession, ended: UUID, holder: UUID, until: datetime) -> list[UUID]:
    """Acquire the leases of the generations that were queued directly after `ended`. The caller has locked the owner.

    If `ended` was itself still waiting for another generation, they now wait for that one instead.

    Returns:
        The generations whose leases were acquired, oldest first.
    """
    connection = await session.connection()
    waiting_ids = (await connection.execute(_WAITING_FOR, {"ended": ended})).scalars().all()
    if not waiting_ids:
        return []
    predecessor = await _unfinished_predecessor(session, ended)
    if predecessor is not None:
        await session.exec(
            update(_GENERATIONS).where(col(Generation.id).in_(waiting_ids)).values(waits_for=predecessor)
        )
        return []
    return [waiting_id for waiting_id in waiting_ids if await claim(session, waiting_id, holder, until)]


async def _unfinished_predecessor(session: AsyncSession, generation_id: UUID) -> UUID | None:
    predecessor = aliased(Generation)
    query = select(predecessor.id).join(Generation, col(Generation.waits_for) == col(predecessor.id))
    query = query.where(Generation.id == generation_id, col(predecessor.status).in_(UNFINISHED))
    return (await session.exec(query)).one_or_none()


async def claim_lapsed(
    session: AsyncSession, holder: UUID, until: datetime, own: Sequence[UUID] = (), *, everything: bool
) -> list[UUID]:
    """Acquire the leases of generations that no process is writing.

    These are generations whose lease has lapsed, generations at the head of their queue that were never started, and
    generations that have waited too long for tool results or have received all of them.

    Args:
        session: The session to use.
        holder: The process that acquires the leases.
        until: The end of the new leases.
        own: Generations that the holder already writes. They are excluded: if another process has held such a lease in
            between, the holder would continue without the events of that process.
        everything: Also acquire leases that another process still holds. For a server that is configured as the only
            one.

    Returns:
        The ids of up to 50 generations, oldest first.
    """
    current_time = now()
    parameters = {
        "everything": everything,
        "by": holder,
        "now": current_time,
        "started_before": current_time - START_TIMEOUT,
        "own": list(own),
    }
    connection = await session.connection()
    generation_ids = list((await connection.execute(_LAPSED, parameters)).scalars().all())
    if generation_ids:
        taking = update(_GENERATIONS).where(col(Generation.id).in_(generation_ids))
        await session.exec(taking.values(holder=holder, lease_until=until))
    return generation_ids


async def request_stop(session: AsyncSession, generation_id: UUID) -> None:
    """Request that a generation stops. Its holder, or the next one, reads the request when it renews the lease."""
    await session.exec(
        update(_GENERATIONS).where(col(Generation.id) == generation_id, _unfinished()).values(stop_requested=True)
    )


_OWNER = select(User.id).where(User.id == bindparam("owner")).with_for_update(key_share=True)
_LOCATION = (
    sqlalchemy.select(
        col(User.id),
        col(Generation.conversation_id),
        col(Generation.message_id),
        col(Conversation.temporary),
        col(Generation.plan),
    )
    .join(Conversation, col(Conversation.owner_id) == col(User.id))
    .join(Generation, col(Generation.conversation_id) == col(Conversation.id))
    .where(col(Generation.id) == bindparam("generation"))
    .with_for_update(key_share=True, of=User)
)


async def lock_owner(session: AsyncSession, owner: UUID) -> None:
    """Block other transactions that change this owner's conversations until this transaction ends."""
    # SQLite needs no lock: it allows one writer at a time, so a write transaction blocks all others.
    if session.get_bind().dialect.name != "sqlite":
        await session.exec(_OWNER, params={"owner": owner})


async def lock_unfinished(session: AsyncSession, conversation_id: UUID) -> None:
    """Lock the unfinished generations of a conversation before its messages. The caller has locked the owner.

    The processes that write answers lock generations first, in the order of their ids, and their messages after that.
    They do not lock the owner, so a transaction with another order could deadlock with them.
    """
    if session.get_bind().dialect.name != "sqlite":
        await (await session.connection()).execute(_LOCK_OF_CONVERSATION, {"conversation": conversation_id})


async def lock_owner_of(session: AsyncSession, generation_id: UUID) -> GenerationLocation | None:
    """Lock the owner of a generation like `lock_owner`.

    Returns:
        The owner, conversation and message of the generation, or None if it was deleted.
    """
    connection = await session.connection()
    row = (await connection.execute(_LOCATION, {"generation": generation_id})).one_or_none()
    return None if row is None else GenerationLocation(*row)


async def status_of(session: AsyncSession, generation_id: UUID) -> Status | None:
    """Return the status of a generation, or None if it was deleted."""
    status = (await session.exec(select(Generation.status).where(Generation.id == generation_id))).one_or_none()
    return None if status is None else Status(status)


def _unfinished() -> ColumnElement[bool]:
    return col(Generation.status).in_(UNFINISHED)


def _has_no_holder() -> ColumnElement[bool]:
    return or_(col(Generation.holder).is_(None), col(Generation.lease_until) < now())
