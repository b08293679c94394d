"""The mutation that deletes a message with everything after it."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from strawberry import ID

from tertulia.db import accounts, branches, changes, generations, leases
from tertulia.db.conversations import NEVER
from tertulia.db.database import AsyncSession
from tertulia.db.identities import Action
from tertulia.db.tables import ChangeKind, Conversation, Generation, Message
from tertulia.generation.retention import ResourceDeleter, detach
from tertulia.resolvers.arguments import argument
from tertulia.resolvers.context import Info
from tertulia.resolvers.errors import NotFound
from tertulia.resolvers.turns import find_message


@dataclass(frozen=True, slots=True)
class DeletedMessage:
    """The deleted message, and the conversation without it."""

    deleted_id: str
    conversation: Conversation


async def delete_message(info: Info, id: Annotated[ID, argument("The id of the message to delete.")]) -> DeletedMessage:
    """Delete a message and all messages after it, on all branches, with their attachments and events.

    Generations that write or wait there are stopped, and queued messages there are deleted. If the message was on the
    active branch, the newest remaining branch becomes the active one. After the first message was deleted, the
    conversation may be empty. This cannot be undone. The usage still counts towards the viewer's usage and budget.

    - `NotFound`: The message does not exist, or has already been deleted.
    """
    context, owner = info.context, info.context.viewer.user_id
    async with context.read() as session:
        message, _ = await _find(session, owner, id)
        running = await _unfinished_after(session, owner, message)
    # Stop the last one first: otherwise, stopping a generation would start the next queued one.
    for generation in reversed(running):
        await context.generation_manager.stop(generation.id)
    async with context.database.write() as session:
        await leases.lock_owner(session, owner)
        message, conversation = await _find(session, owner, id)
        started_meanwhile = await _unfinished_after(session, owner, message)
        hidden_id = await detach(session, conversation, message)
        await changes.record(session, owner, (ChangeKind.UPDATED, conversation.id, None))
        details = {"conversation": str(conversation.id), "message": str(message.id)}
        await accounts.audit(session, Action.MESSAGE_DELETED, owner, context.address, **details)
    context.changed()
    for generation in reversed(started_meanwhile):
        await context.generation_manager.stop(generation.id)
    services = context.services
    deleter = ResourceDeleter(services.database, services.log, services.files)
    await deleter.remove(owner, hidden_id)
    return DeletedMessage(str(message.id), conversation)


async def _find(session: AsyncSession, owner: UUID, id: str) -> tuple[Message, Conversation]:
    message, conversation = await find_message(session, owner, id)
    if conversation.updated_at == NEVER:
        # It is being deleted, and hidden until then.
        raise NotFound(id, "message")
    return message, conversation


async def _unfinished_after(session: AsyncSession, owner: UUID, message: Message) -> list[Generation]:
    """Return the unfinished generations that write the message or a message after it, oldest first."""
    unfinished = await generations.unfinished(session, owner, [message.conversation_id])
    return [
        generation
        for generation in unfinished.get(message.conversation_id, [])
        if await branches.on_branch(session, generation.message_id, message.id)
    ]
