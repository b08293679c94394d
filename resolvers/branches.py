"""The mutations that select a branch and fork one into a new conversation."""

from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

from tertulia.attachments.files import attachment_of, attachments_in
from tertulia.db import attachments, branches, changes, generated_files, generations, leases, messages, search
from tertulia.db import metadata as metadata_rows
from tertulia.db.database import AsyncSession
from tertulia.db.generated_files import GeneratedFile
from tertulia.db.inserting import insert
from tertulia.db.tables import UNFINISHED, ChangeKind, Conversation, Generation, Message, new_id
from tertulia.json import Json
from tertulia.resolvers.arguments import MessageId, argument
from tertulia.resolvers.context import Info
from tertulia.resolvers.conversations import ConversationPayload
from tertulia.resolvers.errors import InvalidInput
from tertulia.resolvers.inputs import MAX_TITLE, ForkConversation, check_text
from tertulia.resolvers.turns import find_message

COPIED_FIELDS = (
    "status",
    "model",
    "options",
    "sequence",
    "steered",
    "continuations",
    "stop_reason",
    "stop_sequence",
    "refusal",
    "repairs",
    "error",
    "prefix",
    "response_id",
    "left_out",
    "context_tokens",
)
TIMESTAMPS = ("created_at", "started_at", "first_token_at", "finished_at")


async def select_branch(info: Info, message_id: MessageId) -> ConversationPayload:
    """Make the branch that contains this message the active one, which `Conversation.messages` returns.

    If several branches contain the message, the newest one is selected. Repeating the request changes nothing.

    - `NotFound`: The message does not exist.
    """
    owner = info.context.viewer.user_id
    async with info.context.database.write() as session:
        await leases.lock_owner(session, owner)
        message, conversation = await find_message(session, owner, message_id)
        if not await branches.on_branch(session, conversation.active_leaf_id, message.id):
            conversation.active_leaf_id = await messages.newest_leaf(session, message.id)
            await changes.record(session, owner, (ChangeKind.UPDATED, conversation.id, None))
    info.context.changed()
    return ConversationPayload(conversation)


async def fork_conversation(
    info: Info,
    input: Annotated[ForkConversation, argument("The last message to copy, and the title of the new conversation.")],
) -> ConversationPayload:
    """Copy a branch, up to one of its messages, into a new conversation, which has the same metadata.

    The usage of the copied answers is counted in the original conversation only. A repeated request creates another
    conversation.

    - `InvalidInput`: The title is too long, or an answer of the branch is still being written.
    - `NotFound`: The message does not exist.
    """
    if input.title is not None:
        check_text("title", input.title, MAX_TITLE)
    owner = info.context.viewer.user_id
    async with info.context.database.write() as session:
        await leases.lock_owner(session, owner)
        end, conversation = await find_message(session, owner, input.message_id)
        branch = await messages.branch(session, end.id)
        generations_by_message = await generations.of_messages(session, owner, [message.id for message in branch])
        if any(generation.status in UNFINISHED for generation in generations_by_message.values()):
            raise InvalidInput("messageId", "must be on a branch whose answers are all finished.")
        title = conversation.title if input.title is None else input.title
        fork = await _copy(session, conversation, title, branch, generations_by_message)
        await changes.record(session, owner, (ChangeKind.CREATED, fork.id, None))
    info.context.changed()
    return ConversationPayload(fork, created=True)


async def _copy(
    session: AsyncSession,
    source: Conversation,
    title: str | None,
    branch: Sequence[Message],
    generations_by_message: Mapping[UUID, Generation],
) -> Conversation:
    ids = {message.id: new_id() for message in branch}
    fork = Conversation(
        owner_id=source.owner_id,
        title=title,
        system_prompt=source.system_prompt,
        model=source.model,
        options=source.options,
        tools=source.tools,
        temporary=source.temporary,
        app_metadata=source.app_metadata,
        assistant=source.assistant,
        active_leaf_id=ids[branch[-1].id],
    )
    await insert(session, [fork])
    await metadata_rows.add(session, fork.owner_id, fork.id, fork.app_metadata)
    files_by_message = await generated_files.of_messages(session, source.owner_id, [*ids])
    files = [file for files in files_by_message.values() for file in files]
    new_attachment_ids = await _copy_attachments(session, source, fork.id, branch, files)
    copies = [
        Message(
            id=ids[message.id],
            conversation_id=fork.id,
            parent_id=ids[message.parent_id] if message.parent_id else None,
            content=[_with_new_attachment(block, new_attachment_ids) for block in message.content],
            **{name: getattr(message, name) for name in ("role", "depth", "created_at", "context", "app_metadata")},
        )
        for message in branch
    ]
    await insert(session, copies)
    if files:
        await insert(
            session, [generated_files.copy_for(file, ids[file.message_id], new_attachment_ids) for file in files]
        )
    if not fork.temporary:
        await search.add(session, *((source.owner_id, message.id, message.content) for message in copies))
    if generations_by_message:
        generation_copies = [
            _copy_generation(generations_by_message[message.id], fork.id, ids[message.id])
            for message in branch
            if message.id in generations_by_message
        ]
        await insert(session, generation_copies)
    return fork


async def _copy_attachments(
    session: AsyncSession,
    source: Conversation,
    fork_id: UUID,
    branch: Sequence[Message],
    files: Sequence[GeneratedFile],
) -> dict[UUID, UUID]:
    """Copy the rows of the attachments of a branch and its files into the fork; return the new ids by the old ones."""
    attachment_ids = attachments_in(message.content for message in branch)
    attachment_ids += [file.attachment_id for file in files if file.attachment_id is not None]
    rows = await attachments.get_many(session, source.owner_id, attachment_ids) if attachment_ids else {}
    copies = {id: attachments.copy_for(row, fork_id) for id, row in rows.items()}
    if copies:
        await insert(session, list(copies.values()))
    return {id: row.id for id, row in copies.items()}


def _with_new_attachment(block: Json, new_attachment_ids: Mapping[UUID, UUID]) -> Json:
    attachment_id = attachment_of(block)
    if attachment_id is None or attachment_id not in new_attachment_ids:
        return block
    return {**block, "source": {**block["source"], "attachment_id": str(new_attachment_ids[attachment_id])}}


def _copy_generation(generation: Generation, conversation_id: UUID, message_id: UUID) -> Generation:
    values = {name: getattr(generation, name) for name in (*COPIED_FIELDS, *TIMESTAMPS)}
    return Generation(conversation_id=conversation_id, message_id=message_id, **values)
