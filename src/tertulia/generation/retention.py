"""Delete conversations and users with everything that belongs to them, on request or after a time limit."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from tertulia.attachments.files import Files, attachments_in
from tertulia.db import (
    accounts,
    attachments,
    changes,
    contributions,
    conversations,
    generated_files,
    generations,
    guests,
    leases,
    limit_hits,
    messages,
    shares,
    tool_connections,
)
from tertulia.db.database import AsyncSession, Database
from tertulia.db.identities import Action
from tertulia.db.inserting import insert
from tertulia.db.tables import ChangeKind, Conversation, Message, now
from tertulia.isolation import ItemLoop
from tertulia.streams.log import EventLog

CONVERSATIONS, LOGS = ItemLoop("retention"), ItemLoop("removal.logs")

ROWS_AT_ONCE = 1000
"""Small rows, such as audit log entries, that one transaction deletes. On SQLite it blocks all other writers."""

GUESTS_AT_ONCE = 100
"""Guests that one sweep deletes."""

logger = logging.getLogger("tertulia.retention")

MESSAGES_AT_ONCE = 200
"""Messages that one transaction deletes. On SQLite it blocks other writers for about 0.1 seconds."""


@dataclass(frozen=True, slots=True)
class DeletedResources:
    """The resources whose rows one transaction has deleted.

    Attributes:
        generation_ids: The generations whose logs must be discarded.
        blob_ids: The blobs whose files must be deleted.
        finished: Whether all rows of the conversation are deleted.
    """

    generation_ids: Sequence[UUID]
    blob_ids: Sequence[UUID]
    finished: bool


@dataclass(frozen=True, slots=True)
class ResourceDeleter:
    """Deletes conversations and users, with a limited number of messages in each transaction."""

    database: Database
    log: EventLog
    files: Files
    stop: Callable[[UUID], Awaitable[None]] | None = None
    """Stops a generation before its user is deleted, so that its exact cost is billed, and not its reservation."""

    async def remove(self, owner: UUID, conversation_id: UUID) -> bool:
        """Delete a conversation of the owner. Return False if there is no such conversation."""
        removed = await self._remove_part(owner, conversation_id)
        if removed is None:
            return False
        await self.finish(removed, owner, conversation_id)
        return True

    async def finish(self, removed: DeletedResources, owner: UUID, conversation_id: UUID) -> None:
        """Delete everything that the first transaction of a deletion, which must be committed, has left."""
        part: DeletedResources | None = removed
        while part is not None:
            await self._clean_up(part)
            if part.finished:
                return
            part = await self._remove_part(owner, conversation_id)

    async def remove_user(self, user_id: UUID, address: str | None = None, **detail: str) -> dict[str, int] | None:
        """Delete a user with everything that belongs to them.

        The user is signed out first and deleted last, so that an interrupted deletion can be repeated.

        Args:
            user_id: The user.
            address: The address of an operator who deletes the user, for the audit log.
            detail: Further details for the audit log.

        Returns:
            The numbers of deleted rows by name, or None if there is no such user.
        """
        async with self.database.write() as session:
            await leases.lock_owner(session, user_id)
            counted = await accounts.count(session, user_id)
            await accounts.revoke(session, owner=user_id)
            running = await generations.unfinished_of_owner(session, user_id)
            owned = await accounts.conversations_of(session, user_id)
        # In reverse order, so that a queued generation does not start when the one before it is stopped.
        if self.stop is not None:
            for generation_id in reversed(running):
                await self.stop(generation_id)
        for conversation_id in owned:
            await self.remove(user_id, conversation_id)
        async with self.database.write() as session:
            await leases.lock_owner(session, user_id)
            blob_ids = await accounts.blobs_of(session, user_id)
            if not await accounts.remove_user(session, user_id):
                return None
            await accounts.audit(session, Action.USER_DELETED, user_id, address, **detail)
        await self.files.discard(blob_ids)
        return counted

    async def _remove_part(self, owner: UUID, conversation_id: UUID) -> DeletedResources | None:
        async def remove(session: AsyncSession) -> DeletedResources | None:
            await leases.lock_owner(session, owner)
            return await remove_part(session, owner, conversation_id)

        return await self.database.write_again(remove)

    async def _clean_up(self, removed: DeletedResources) -> None:
        await LOGS.each(removed.generation_ids, self.log.discard)
        await self.files.discard(removed.blob_ids)


async def remove_part(session: AsyncSession, owner: UUID, conversation_id: UUID) -> DeletedResources | None:
    """Delete up to MESSAGES_AT_ONCE of the deepest messages of a conversation, and then the conversation itself.

    A conversation that is only partly deleted is hidden from all lists. The change is recorded with the first part, and
    not for a conversation that was hidden before, such as an interrupted import.

    Args:
        session: A transaction that writes, in which the owner is locked.
        owner: The conversation's owner.
        conversation_id: The conversation.

    Returns:
        What was deleted; None if there is no such conversation.
    """
    is_continued = await conversations.is_hidden(session, owner, conversation_id)
    if not await conversations.hide(session, owner, conversation_id):
        return None
    await leases.lock_unfinished(session, conversation_id)
    deepest = await messages.deepest(session, conversation_id, MESSAGES_AT_ONCE)
    generation_ids = await messages.remove(session, deepest) if deepest else []
    if not is_continued:
        await changes.record(session, owner, (ChangeKind.DELETED, conversation_id, None))
    if len(deepest) == MESSAGES_AT_ONCE:
        return DeletedResources(generation_ids, [], finished=False)
    blobs = [attachment.blob_id for attachment in await attachments.of_conversation(session, owner, conversation_id)]
    await conversations.remove(session, owner, conversation_id)
    return DeletedResources(generation_ids, blobs, finished=True)


async def detach(session: AsyncSession, conversation: Conversation, message: Message) -> UUID:
    """Move a message, all messages after it and their attachments into a hidden conversation, which must be deleted.

    If the active branch contained the message, the newest remaining branch becomes the active one. All of this is one
    transaction. Retention completes an interrupted deletion.

    Returns:
        The id of the hidden conversation.
    """
    owner = conversation.owner_id
    hidden = Conversation(owner_id=owner, model=conversation.model, temporary=True, updated_at=conversations.NEVER)
    await insert(session, [hidden])
    await leases.lock_unfinished(session, conversation.id)
    moved = set(await messages.move(session, message.id, hidden.id))
    if await attachments.of_conversation(session, owner, conversation.id):
        kept_contents = await messages.contents_with_attachments(session, conversation.id)
        moved_contents = await messages.contents_with_attachments(session, hidden.id)
        moved_files = await generated_files.attachments_of(session, hidden.id)
        kept_files = await generated_files.attachments_of(session, conversation.id)
        # The new version of an edited message shares the attachments of the old one.
        unused = {*attachments_in(moved_contents), *moved_files}
        unused -= {*attachments_in(kept_contents), *kept_files}
        await attachments.claim(session, list(unused), hidden.id)
    # Instructions may contain the context of a deleted message.
    await contributions.remove_unused(session, conversation.id)
    if conversation.active_leaf_id in moved:
        conversation.active_leaf_id = (
            await messages.newest(session, conversation.id)
            if message.parent_id is None
            else await messages.newest_leaf(session, message.parent_id)
        )
    return hidden.id


class Retention:
    """Deletes conversations that have not been used for a time limit, and temporary conversations."""

    def __init__(self, deleter: ResourceDeleter, *, days: float | None, temporary_hours: float) -> None:
        """Initialize with the limits. If `days` is None, only temporary conversations are deleted."""
        self._deleter = deleter
        self._keep = None if days is None else timedelta(days=days)
        self._keep_temporary = timedelta(hours=temporary_hours)

    async def sweep(self, changed: Callable[[UUID], None]) -> bool:
        """Delete all conversations that exceed their limit, and call `changed` with the owner of each of them.

        Returns:
            Whether no deletion has failed.
        """
        current_time = now()
        unused_before = None if self._keep is None else current_time - self._keep
        async with self._deleter.database.read() as session:
            conversation_owners = await conversations.unused_since(
                session, unused_before, current_time - self._keep_temporary
            )
        owners = dict(conversation_owners)

        async def remove(conversation_id: UUID) -> None:
            if await self._deleter.remove(owners[conversation_id], conversation_id):
                logger.info(
                    "Conversation %s was deleted, because it has not been used for its time limit", conversation_id
                )
                changed(owners[conversation_id])

        all_deleted = await CONVERSATIONS.each(owners, remove)
        await self._deleter.files.sweep()
        return all_deleted


async def expire_guests(deleter: ResourceDeleter, days: float) -> bool:
    """Delete guests who have not been here for some days, with everything that belongs to them.

    Returns:
        Whether no deletion has failed.
    """
    async with deleter.database.read() as session:
        unused = await guests.unused_since(session, now() - timedelta(days=days), GUESTS_AT_ONCE)

    async def remove(guest: UUID) -> None:
        await deleter.remove_user(guest)

    return await CONVERSATIONS.each(unused, remove)


async def trim_audit(database: Database, days: float | None) -> None:
    """Delete audit log entries and hits of limits that are older than `days`, in short transactions. None keeps all."""
    if days is None:
        return
    cutoff = now() - timedelta(days=days)
    await _repeat(database, lambda session: accounts.trim_audit(session, cutoff, ROWS_AT_ONCE))
    await _repeat(database, lambda session: limit_hits.trim(session, cutoff.date(), ROWS_AT_ONCE))


async def trim_keys(database: Database) -> None:
    """Delete the idempotency keys that are no longer valid, in short transactions."""
    await _repeat(database, lambda session: generations.trim_keys(session, ROWS_AT_ONCE))


async def trim_shares(database: Database) -> None:
    """Delete expired shares, in short transactions."""
    await _repeat(database, lambda session: shares.trim(session, ROWS_AT_ONCE))


async def trim_authorizations(database: Database) -> None:
    """Delete expired authorizations of MCP servers, in short transactions."""
    await _repeat(database, lambda session: tool_connections.trim(session, ROWS_AT_ONCE))


async def _repeat(database: Database, trim: Callable[[AsyncSession], Awaitable[int]]) -> None:
    """Call `trim`, which deletes up to ROWS_AT_ONCE rows and returns their number, until it deletes fewer."""
    deleted = ROWS_AT_ONCE
    while deleted == ROWS_AT_ONCE:
        async with database.write() as session:
            deleted = await trim(session)
