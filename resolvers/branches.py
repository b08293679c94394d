"""Branches: which one is shown, and going on with one elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

from tertulia.attachments.files import attachment_of, attachments_in
from tertulia.db import attachments, changes, generations, leases, messages, search
from tertulia.db.database import AsyncSession
from tertulia.db.inserting import insert
from tertulia.db.tables import UNFINISHED, ChangeKind, Conversation, Generation, Message, new_id
from tertulia.json import Json
from tertulia.resolvers.arguments import MessageId, argument
from tertulia.resolvers.context import Info
from tertulia.resolvers.conversations import ConversationPayload
from tertulia.resolvers.errors import InvalidInput
from tertulia.resolvers.inputs import MAX_TITLE, ForkConversation, check_text
from tertulia.resolvers.turns import find_message

KEPT = ("status", "model", "options", "sequence", "stop_reason", "error", "prefix", "left_out", "context_tokens")
MOMENTS = ("created_at", "started_at", "first_token_at", "finished_at")


async def select_branch(info: Info, message_id: MessageId) -> ConversationPayload:
    """Makes the branch that holds this message the one that `Conversation.messages` shows: of several, the newest.

    Doing it twice changes nothing.

    - `NotFound`: there is no such message.
    """
    owner = info.context.viewer.user_id
    async with info.context.database.write() as session:
        await leases.lock_owner(session, owner)
        message, conversation = await find_message(session, owner, message_id)
        if not await messages.on_branch(session, conversation.active_leaf_id, message.id):
            conversation.active_leaf_id = await messages.newest_leaf(session, message.id)
            await changes.record(session, owner, (ChangeKind.UPDATED, conversation.id, None))
    info.context.changed()
    return ConversationPayload(conversation)


async def fork_conversation(
    info: Info, input: Annotated[ForkConversation, argument("Where the copy ends, and its title.")]
) -> ConversationPayload:
    """Copies the branch that ends in a message into a new conversation, which goes its own way from there.

    What the copied answers have used stays with the old conversation: it was paid once. Doing it twice makes two.

    - `InvalidInput`: a title that is too long, or a message behind an answer that is still being written.
    - `NotFound`: there is no such message.
    """
    if input.title is not None:
        check_text("title", input.title, MAX_TITLE)
    owner = info.context.viewer.user_id
    async with info.context.database.write() as session:
        await leases.lock_owner(session, owner)
        message, conversation = await find_message(session, owner, input.message_id)
        branch = [one.message for one in await messages.branch(session, message.id)]
        written = await generations.of_messages(session, owner, [one.id for one in branch])
        if any(one.status in UNFINISHED for one in written.values()):
            raise InvalidInput("messageId", "stands behind an answer that is still being written.")
        title = conversation.title if input.title is None else input.title
        made = await _copy(session, conversation, title, branch, written)
        await changes.record(session, owner, (ChangeKind.CREATED, made.id, None))
    info.context.changed()
    return ConversationPayload(made)


async def _copy(
    session: AsyncSession,
    old: Conversation,
    title: str | None,
    branch: Sequence[Message],
    written: Mapping[UUID, Generation],
) -> Conversation:
    ids = {message.id: new_id() for message in branch}
    made = Conversation(
        owner_id=old.owner_id,
        title=title,
        system_prompt=old.system_prompt,
        model=old.model,
        options=old.options,
        tools=old.tools,
        temporary=old.temporary,
        active_leaf_id=ids[branch[-1].id],
    )
    await insert(session, [made])
    attached = await _attached_again(session, old, made.id, branch)
    copied = [
        Message(
            id=ids[one.id],
            conversation_id=made.id,
            parent_id=ids[one.parent_id] if one.parent_id else None,
            content=[_renamed(block, attached) for block in one.content],
            **{name: getattr(one, name) for name in ("role", "depth", "created_at")},
        )
        for one in branch
    ]
    await insert(session, copied)
    if not made.temporary:
        await search.add(session, *((old.owner_id, one.id, one.content) for one in copied))
    if written:
        copies = [_copied(written[one.id], made.id, ids[one.id]) for one in branch if one.id in written]
        await insert(session, copies)
    return made


async def _attached_again(
    session: AsyncSession, old: Conversation, made_id: UUID, branch: Sequence[Message]
) -> dict[UUID, UUID]:
    """Give the new conversation attachments of its own, of the same bytes; gives the new ids by the old ones."""
    shown = attachments_in(message.content for message in branch)
    found = await attachments.get_many(session, old.owner_id, shown) if shown else {}
    again = {id: attachments.again(one, made_id) for id, one in found.items()}
    if again:
        await insert(session, list(again.values()))
    return {id: one.id for id, one in again.items()}


def _renamed(block: Json, attached: Mapping[UUID, UUID]) -> Json:
    shown = attachment_of(block)
    if shown is None or shown not in attached:
        return block
    return {**block, "source": {**block["source"], "attachment_id": str(attached[shown])}}


def _copied(generation: Generation, conversation_id: UUID, message_id: UUID) -> Generation:
    same = {name: getattr(generation, name) for name in (*KEPT, *MOMENTS)}
    return Generation(conversation_id=conversation_id, message_id=message_id, **same)
