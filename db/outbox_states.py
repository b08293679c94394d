"""The states of the outbox for the operator: numbers of events, failures, and repeated deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy
from sqlalchemy import and_, case, delete, func, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.outbox import DELIVERED_FOR, DISABLED, OUTBOX, DeliveryStatus, OutboxEvent, locked_in_order
from tertulia.db.tables import now


@dataclass(frozen=True, slots=True)
class SubscriberState:
    """The number of a subscriber's events by status, and when the oldest pending one was stored."""

    pending: int = 0
    delivered: int = 0
    failed: int = 0
    oldest_pending: datetime | None = None
    disabled_at: datetime | None = None


async def states(session: AsyncSession) -> dict[str, SubscriberState]:
    """Return the states of all subscribers that have events or are disabled, by name."""
    is_pending = OUTBOX.c.status == DeliveryStatus.PENDING
    query = sqlalchemy.select(
        OUTBOX.c.subscriber,
        *(func.sum(case((OUTBOX.c.status == status, 1), else_=0)).label(status.value) for status in DeliveryStatus),
        func.min(case((is_pending, OUTBOX.c.created_at))).label("oldest_pending"),
    ).group_by(OUTBOX.c.subscriber)
    connection = await session.connection()
    subscribers: dict[str, SubscriberState] = {}
    for row in await connection.execute(sqlalchemy.select(DISABLED)):
        subscribers[row.subscriber] = SubscriberState(disabled_at=row.disabled_at)
    for row in await connection.execute(query):
        disabled_at = subscribers.get(row.subscriber, SubscriberState()).disabled_at
        subscribers[row.subscriber] = SubscriberState(
            row.pending, row.delivered, row.failed, row.oldest_pending, disabled_at
        )
    return subscribers


async def failures(session: AsyncSession, most: int) -> Sequence[OutboxEvent]:
    """Return events that have failed, or whose last attempt has, newest first."""
    query = select(OutboxEvent).where(
        col(OutboxEvent.status) != DeliveryStatus.DELIVERED, col(OutboxEvent.error).is_not(None)
    )
    return (await session.exec(query.order_by(col(OutboxEvent.id).desc()).limit(most))).all()


async def retry(session: AsyncSession, subscriber: str | None = None, event_id: UUID | None = None) -> int:
    """Make events due that have failed or wait for their next attempt, and enable their subscribers.

    Args:
        session: A transaction that writes.
        subscriber: The subscriber; None for all.
        event_id: The event; None for all.

    Returns:
        The number of the events.
    """
    current_time = now()
    wanted = [
        or_(
            OUTBOX.c.status == DeliveryStatus.FAILED,
            and_(OUTBOX.c.status == DeliveryStatus.PENDING, OUTBOX.c.claim.is_(None)),
        )
    ]
    if subscriber is not None:
        wanted.append(OUTBOX.c.subscriber == subscriber)
    if event_id is not None:
        wanted.append(OUTBOX.c.id == event_id)
    values = {
        "status": DeliveryStatus.PENDING,
        "attempts": 0,
        "due_at": current_time,
        "give_up_at": current_time + DELIVERED_FOR,
        "finished_at": None,
    }
    retrying = update(OUTBOX).where(locked_in_order(and_(*wanted))).values(**values)
    retried = await session.exec(retrying.returning(OUTBOX.c.subscriber))
    names = [name for (name,) in retried.all()]
    enabling = delete(DISABLED)
    if subscriber is not None or event_id is not None:
        enabling = enabling.where(DISABLED.c.subscriber.in_({subscriber} if subscriber is not None else set(names)))
    await session.exec(enabling)
    return len(names)
