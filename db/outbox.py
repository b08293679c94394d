"""The outbox: events for webhooks and hooks, each stored in the transaction that makes what it reports.

Each replica delivers the events of all replicas. A replica claims an event for a limited time, so that one at a time
delivers it, and another one continues if the first is lost. An event is delivered after the earlier events of its
conversation. The queries are for the server, so none of them is limited to an owner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID, uuid4

import sqlalchemy
from sqlalchemy import (
    JSON,
    ColumnElement,
    Enum,
    Index,
    String,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    or_,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import aliased
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.tables import (
    METADATA,
    Conversation,
    Generation,
    User,
    UtcDateTime,
    new_id,
    now,
    optional_time,
)
from tertulia.json import Json

SUBSCRIBERS = "outbox"
"""The key of `session.info` whose value contains the names of the subscribers of each event."""
DELIVERED_FOR = timedelta(days=1)
"""An event that could not be delivered within this time has failed."""
KEPT = timedelta(days=7)
"""How long events are kept after they were delivered or have failed."""

Subscribers = Mapping[str, Sequence[str]]


class DeliveryStatus(StrEnum):
    """The status of an event in the outbox."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


_IS_PENDING = text("status = 'pending'")


class OutboxEvent(SQLModel, table=True):
    """An event for one subscriber. The references are not foreign keys, because it outlives what it reports."""

    __tablename__: ClassVar[Any] = "outbox"
    __table_args__: ClassVar[Any] = (
        Index("outbox_by_due_time", "subscriber", "due_at", sqlite_where=_IS_PENDING, postgresql_where=_IS_PENDING),
        Index(
            "outbox_by_conversation",
            "conversation_id",
            "subscriber",
            "id",
            sqlite_where=_IS_PENDING,
            postgresql_where=_IS_PENDING,
        ),
        Index("outbox_by_end", "finished_at"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    subscriber: str = Field(sa_type=String)
    event: str
    owner_id: UUID
    conversation_id: UUID | None = None
    data: Json = Field(default={}, sa_type=JSON)
    status: DeliveryStatus = Field(
        default=DeliveryStatus.PENDING,
        sa_type=Enum(DeliveryStatus, native_enum=False, create_constraint=False, length=32, values_callable=list),
    )
    attempts: int = 0
    # When it may be claimed: while a process delivers it, the end of that process's claim.
    due_at: datetime = Field(default_factory=now, sa_type=UtcDateTime, nullable=False)
    claim: UUID | None = None
    give_up_at: datetime = Field(sa_type=UtcDateTime, nullable=False)
    error: str | None = None
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime, nullable=False)
    finished_at: datetime | None = optional_time()


class DisabledSubscriber(SQLModel, table=True):
    """A subscriber that refuses all events until the operator enables it again."""

    __tablename__: ClassVar[Any] = "outbox_disabled"

    subscriber: str = Field(primary_key=True)
    disabled_at: datetime = Field(default_factory=now, sa_type=UtcDateTime, nullable=False)


OUTBOX, DISABLED = METADATA.tables["outbox"], METADATA.tables["outbox_disabled"]
_MESSAGES = METADATA.tables["messages"]
_INSERT = insert(OUTBOX)
_SUBJECT = select(User.subject).where(User.id == bindparam("owner"))
_GENERATION = (
    select(Generation, Conversation.owner_id, Conversation.temporary)
    .join(Conversation, col(Generation.conversation_id) == col(Conversation.id))
    .where(Generation.id == bindparam("generation"))
    .execution_options(populate_existing=True)
)
_PENDING = literal_column("'pending'", String)
"""The status as a literal: a query with a parameter could not use the indexes of the pending events."""
_POSTPONED = (
    sqlalchemy.select(OUTBOX.c.subscriber, func.max(OUTBOX.c.due_at))
    .where(
        OUTBOX.c.conversation_id == bindparam("conversation"),
        OUTBOX.c.status == _PENDING,
        OUTBOX.c.claim.is_(None),
    )
    .group_by(OUTBOX.c.subscriber)
)
_CLAIMED = and_(OUTBOX.c.id == bindparam("delivered"), OUTBOX.c.claim == bindparam("by"), OUTBOX.c.status == _PENDING)


async def add(session: AsyncSession, owner: UUID, event: str, data: Json) -> None:
    """Store an event for each of its subscribers, in the transaction that makes what it reports.

    Nothing is stored for an event without subscribers.

    Args:
        session: A transaction that writes.
        owner: The user whom the event concerns.
        event: The type of the event, such as `message.rated`.
        data: Ids and facts, never texts. UUIDs become strings. The events with the same `conversation_id` are
            delivered in order.
    """
    subscribers = _subscribers(session).get(event, ())
    if not subscribers:
        return
    created = now()
    conversation_id = None if data.get("conversation_id") is None else UUID(str(data["conversation_id"]))
    connection = await session.connection()
    subject = (await connection.execute(_SUBJECT, {"owner": owner})).scalar_one_or_none()
    facts = {name: str(value) if isinstance(value, UUID) else value for name, value in data.items()}
    values: Json = {
        "event": event,
        "owner_id": owner,
        "conversation_id": conversation_id,
        "data": {"user_id": str(owner), "user_subject": subject} | facts,
        "status": DeliveryStatus.PENDING,
        "attempts": 0,
        "give_up_at": created + DELIVERED_FOR,
        "created_at": created,
    }
    # An event that waits for an earlier one is due with it, so that claims skip it until then.
    postponed = {row[0]: row[1] for row in await connection.execute(_POSTPONED, {"conversation": conversation_id})}
    rows = [
        {**values, "id": new_id(), "subscriber": name, "due_at": max(created, postponed.get(name, created))}
        for name in subscribers
    ]
    await connection.execute(_INSERT, rows)


async def add_generation(session: AsyncSession, generation_id: UUID) -> None:
    """Store the event of a generation that has ended or waits for tool results, in the transaction that saves it."""
    if not any(event.startswith("generation.") for event in _subscribers(session)):
        return
    row = (await session.exec(_GENERATION, params={"generation": generation_id})).one_or_none()
    if row is None:
        return
    generation, owner, temporary = row
    data: Json = {
        "conversation_id": generation.conversation_id,
        "generation_id": generation.id,
        "message_id": generation.message_id,
        "temporary": temporary,
        "model": generation.model,
        "stop_reason": generation.stop_reason,
        "refusal_category": (generation.refusal or {}).get("category"),
        "steered": bool(generation.steered),
        "error_code": (generation.error or {}).get("code"),
        "input_tokens": generation.input_tokens,
        "output_tokens": generation.output_tokens,
    }
    await add(session, owner, f"generation.{generation.status.value}", data)


def _subscribers(session: AsyncSession) -> Subscribers:
    subscribers: Subscribers = session.info.get(SUBSCRIBERS, {})
    return subscribers


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event that a process has claimed to deliver it.

    Attributes:
        id: The id of the event, which is the same for each attempt.
        claim: Identifies the claim.
        event: The type of the event.
        data: The data of the event.
        created_at: When it was stored.
        attempts: The number of attempts, including this one.
        give_up_at: When it has failed unless it was delivered.
    """

    id: UUID
    claim: UUID
    event: str
    data: Json
    created_at: datetime
    attempts: int
    give_up_at: datetime


async def next_due(session: AsyncSession, subscriber: str) -> datetime | None:
    """Return when the next event of a subscriber may be claimed, or None if no event is pending."""
    query = select(func.min(OutboxEvent.due_at)).where(*_pending(subscriber))
    return (await session.exec(query)).one()


async def claim(session: AsyncSession, subscriber: str, until: datetime, most: int) -> list[Delivery]:
    """Claim events that are due, oldest first. Other processes cannot claim them before `until`.

    The events of a subscriber that is disabled fail instead.
    """
    if await _is_disabled(session, subscriber):
        await _fail_pending(session, subscriber)
        return []
    earlier = aliased(OutboxEvent)
    is_blocked = (
        select(earlier.id)
        .where(
            earlier.conversation_id == OutboxEvent.conversation_id,
            earlier.subscriber == OutboxEvent.subscriber,
            col(earlier.id) < col(OutboxEvent.id),
            col(earlier.status) == _PENDING,
        )
        .exists()
    )
    query = (
        select(OutboxEvent.id)
        .where(*_pending(subscriber), col(OutboxEvent.due_at) <= now(), ~is_blocked)
        .order_by(col(OutboxEvent.due_at), col(OutboxEvent.id))
        .limit(most)
        .with_for_update(skip_locked=True, of=OutboxEvent)
    )
    ids = (await session.exec(query)).all()
    if not ids:
        return []
    token = uuid4()
    values = {"claim": token, "due_at": until, "attempts": OUTBOX.c.attempts + 1}
    await session.exec(update(OUTBOX).where(OUTBOX.c.id.in_(ids)).values(**values))
    claimed = select(OutboxEvent).where(col(OutboxEvent.id).in_(ids)).order_by(col(OutboxEvent.id))
    events = (await session.exec(claimed)).all()
    return [
        Delivery(row.id, token, row.event, row.data, row.created_at, row.attempts, row.give_up_at) for row in events
    ]


async def finish(session: AsyncSession, delivery: Delivery, error: str | None = None) -> None:
    """Store that an event was delivered, or has failed with an error, unless the claim was lost."""
    status = DeliveryStatus.DELIVERED if error is None else DeliveryStatus.FAILED
    await _store(session, delivery, {"status": status, "error": error, "finished_at": now(), "claim": None})


async def postpone(session: AsyncSession, delivery: Delivery, error: str, due_at: datetime) -> None:
    """Store that an attempt failed, and when the next one is due, unless the claim was lost.

    The events that wait for this one are due with it.
    """
    if not await _store(session, delivery, {"error": error, "due_at": due_at, "claim": None}):
        return
    event = aliased(OutboxEvent)
    same = select(event.conversation_id, event.subscriber).where(event.id == delivery.id).subquery()
    waiting = and_(
        OUTBOX.c.conversation_id == same.c.conversation_id,
        OUTBOX.c.subscriber == same.c.subscriber,
        OUTBOX.c.status == _PENDING,
        OUTBOX.c.claim.is_(None),
    )
    await session.exec(update(OUTBOX).where(_unlocked(waiting)).values(due_at=due_at))


async def disable(session: AsyncSession, subscriber: str) -> None:
    """Disable a subscriber. Its pending events fail."""
    adding = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    values = {"subscriber": subscriber, "disabled_at": now()}
    await session.exec(adding(DISABLED).values(values).on_conflict_do_nothing())
    await _fail_pending(session, subscriber)


async def expire(session: AsyncSession) -> int:
    """Mark the pending events as failed that no process delivers and whose time is over. Return their number."""
    current_time = now()
    over = and_(
        # An index finds the events that have not ended.
        OUTBOX.c.finished_at.is_(None),
        OUTBOX.c.give_up_at <= current_time,
        or_(OUTBOX.c.claim.is_(None), OUTBOX.c.due_at <= current_time),
    )
    error = func.coalesce(OUTBOX.c.error, "No server with this subscriber was running.")
    values = {"status": DeliveryStatus.FAILED, "finished_at": current_time, "claim": None, "error": error}
    return (await session.exec(update(OUTBOX).where(_unlocked(over)).values(**values))).rowcount


async def trim(session: AsyncSession, most: int) -> int:
    """Delete up to `most` events that have ended longer than `KEPT` ago. Return their number."""
    old = _unlocked(OUTBOX.c.finished_at < now() - KEPT, most)
    return (await session.exec(delete(OUTBOX).where(old))).rowcount


async def text_of(session: AsyncSession, message_id: UUID) -> str | None:
    """Return the text of a message; None if it was deleted."""
    query = sqlalchemy.select(_MESSAGES.c.content).where(_MESSAGES.c.id == message_id)
    content: list[Json] | None = (await (await session.connection()).execute(query)).scalar_one_or_none()
    if content is None:
        return None
    return "".join(block.get("text", "") for block in content if block.get("type") == "text")


async def remove_finished(session: AsyncSession, owner: UUID) -> None:
    """Delete the events of a user who is deleted, except those that are still to be delivered."""
    finished = and_(OUTBOX.c.owner_id == owner, OUTBOX.c.finished_at.is_not(None))
    await session.exec(delete(OUTBOX).where(locked_in_order(finished)))


async def _store(session: AsyncSession, delivery: Delivery, values: Json) -> bool:
    """Change a claimed event. Return False if the claim was lost."""
    connection = await session.connection()
    parameters = {"delivered": delivery.id, "by": delivery.claim}
    return bool((await connection.execute(update(OUTBOX).where(_CLAIMED).values(**values), parameters)).rowcount)


async def _is_disabled(session: AsyncSession, subscriber: str) -> bool:
    query = select(DisabledSubscriber.subscriber).where(DisabledSubscriber.subscriber == subscriber)
    return (await session.exec(query)).one_or_none() is not None


async def _fail_pending(session: AsyncSession, subscriber: str) -> None:
    values = {
        "status": DeliveryStatus.FAILED,
        "error": "The endpoint is disabled, because it responded with 410 Gone.",
        "finished_at": now(),
        "claim": None,
    }
    # A claim of another process fails the others.
    await session.exec(update(OUTBOX).where(_unlocked(and_(*_pending(subscriber)))).values(**values))


def locked_in_order(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition for a statement that changes many events, which locks them in the order of their ids."""
    return OUTBOX.c.id.in_(sqlalchemy.select(OUTBOX.c.id).where(condition).order_by(OUTBOX.c.id).with_for_update())


def _unlocked(condition: ColumnElement[bool], most: int | None = None) -> ColumnElement[bool]:
    """Return the condition for a statement that changes many events, but waits for no other transaction."""
    query = sqlalchemy.select(OUTBOX.c.id).where(condition).limit(most)
    return OUTBOX.c.id.in_(query.with_for_update(skip_locked=True, of=OUTBOX))


def _pending(subscriber: str) -> tuple[Any, Any]:
    return col(OutboxEvent.subscriber) == subscriber, col(OutboxEvent.status) == _PENDING
