"""Steering: find the queued message that is put between two rounds of tools of a running answer."""

from uuid import UUID

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import messages
from tertulia.db.tables import Generation, Message, Status

_STEERING = (
    select(Generation.id, Message.parent_id)
    .join(Message, col(Message.id) == col(Generation.message_id))
    .where(
        Generation.waits_for == bindparam("running"),
        Generation.status == Status.QUEUED,
        col(Generation.steers).is_(True),
    )
    .order_by(col(Generation.id))
)


async def next_message(session: AsyncSession, generation_id: UUID, message_id: UUID) -> UUID | None:
    """Return the first queued generation that steers a running one, or None. The caller has locked the owner.

    Args:
        session: The transaction that ends a round of the running generation.
        generation_id: The running generation.
        message_id: Its answer.
    """
    rows = await session.exec(_STEERING, params={"running": generation_id})
    for steering_id, question_id in rows.all():
        # A message can also wait for an answer on another branch, which it must not end.
        branch = await messages.branch(session, question_id)
        if any(message.id == message_id for message in branch):
            return steering_id
    return None
