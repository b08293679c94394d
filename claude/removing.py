"""Removing conversations with all that hangs on them: messages, answers, logs, and the bytes of attachments."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from claude.files import Files
from db import accounts, attachments, changes, conversations, generations, leases
from db.database import AsyncSession, Database
from db.identities import Action
from db.tables import ChangeKind, now
from streams.log import EventLog

logger = logging.getLogger("tertulia.retention")


@dataclass(frozen=True, slots=True)
class Removed:
    """What a conversation has left outside of the database."""

    generation_ids: Sequence[UUID]
    blob_ids: Sequence[UUID]

    async def clean_up(self, log: EventLog, files: Files) -> None:
        """Remove that too; after the commit."""
        for generation_id in self.generation_ids:
            await log.discard(generation_id)
        await files.discard(self.blob_ids)


async def remove(session: AsyncSession, owner: UUID, conversation_id: UUID) -> Removed | None:
    """Remove a conversation of the owner's, who is locked; None where there is none."""
    gone = await generations.of_conversation(session, owner, conversation_id)
    blobs = [one.blob_id for one in await attachments.of_conversation(session, owner, conversation_id)]
    if not await conversations.remove(session, owner, conversation_id):
        return None
    await changes.record(session, owner, (ChangeKind.DELETED, conversation_id, None))
    return Removed(gone, blobs)


async def remove_user(session: AsyncSession, user_id: UUID) -> tuple[Removed, dict[str, int]] | None:
    """Remove a user with all that is theirs, and say how much that was; None where there is none."""
    await leases.lock_owner(session, user_id)
    generation_ids, blob_ids = await accounts.left_outside(session, user_id)
    counted = await accounts.count(session, user_id)
    if not await accounts.remove_user(session, user_id):
        return None
    await accounts.audit(session, Action.USER_DELETED, user_id)
    return Removed(generation_ids, blob_ids), counted


class Retention:
    """Removes conversations that nobody has used for so long: those of a time limit, and temporary ones."""

    def __init__(
        self, database: Database, log: EventLog, files: Files, *, days: float | None, temporary_hours: float
    ) -> None:
        """Take the parts and the limits; without `days`, only temporary conversations go."""
        self._database = database
        self._log = log
        self._files = files
        self._keep = None if days is None else timedelta(days=days)
        self._keep_temporary = timedelta(hours=temporary_hours)

    async def sweep(self, changed: Callable[[UUID], None]) -> None:
        """Remove all that is due, and call `changed` for each owner whose list is another now."""
        moment = now()
        before = None if self._keep is None else moment - self._keep
        async with self._database.read() as session:
            due = await conversations.unused_since(session, before, moment - self._keep_temporary)
        for conversation_id, owner in due:
            async with self._database.write() as session:
                await leases.lock_owner(session, owner)
                removed = await remove(session, owner, conversation_id)
            if removed is not None:
                logger.info("Conversation %s was removed: nobody has used it for its time", conversation_id)
                await removed.clean_up(self._log, self._files)
                changed(owner)
        await self._files.sweep()
