"""Turns: the user's message that Claude will answer, and the branch before it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast
from uuid import UUID

from strawberry import ID
from strawberry.scalars import JSON

from tertulia.db import conversations, messages
from tertulia.db.database import AsyncSession
from tertulia.db.inserting import new_row
from tertulia.db.messages import BranchMessage
from tertulia.db.prompt_branches import BranchReader
from tertulia.db.tables import Conversation, Message, Role, new_id, now
from tertulia.json import Json
from tertulia.resolvers.app_data import stored_context
from tertulia.resolvers.assistants import policy_of, policy_of_new
from tertulia.resolvers.attachments import MessageAttachments, attach, attachment_ids
from tertulia.resolvers.context import Context, as_uuid
from tertulia.resolvers.errors import InvalidInput, NotFound
from tertulia.resolvers.inputs import EditMessage, RegenerateMessage, SendMessage, blank_error
from tertulia.resolvers.tools import tools_to_json

NO_ATTACHMENTS = MessageAttachments()
Branch = Sequence[BranchMessage]


@dataclass(frozen=True, slots=True)
class Turn:
    """A user's message to be answered, `question`, and the messages before it, `branch`, oldest first."""

    conversation: Conversation
    branch: Branch
    question: Message
    attached: MessageAttachments = NO_ATTACHMENTS
    new_conversation: bool = False
    new_message: bool = True
    entry: BranchMessage | None = None
    """The question with fields of its generation, if it is an answer that is summarized."""

    @property
    def branch_with_question(self) -> list[BranchMessage]:
        """The messages that Claude reads, oldest first."""
        return [*self.branch, self.entry or BranchMessage(self.question)]


async def turn_of_send(session: AsyncSession, context: Context, input: SendMessage, branches: BranchReader) -> Turn:
    """Return the turn of a send: after the active branch, after `parentId`, or in a new conversation.

    An external id names the conversation, and creates it if it does not exist. The caller has locked the owner, so that
    concurrent sends create one.

    Raises:
        NotFound: The conversation or the parent message does not exist.
        InvalidInput: The message is blank, an attachment is not accepted, or a field is set that is only for new
            conversations.
    """
    existing = await _existing_conversation(session, context.viewer.user_id, input)
    if existing is None:
        if input.parent_id is not None:
            raise NotFound(input.parent_id, "message of this conversation")
        policy = policy_of_new(context, input.assistant_id)
        policy.check_tools(input.tools)
        own_model = policy.assistant.model if policy.assistant is not None else None
        created_at = now()
        conversation = new_row(
            Conversation,
            id=new_id(),
            created_at=created_at,
            updated_at=created_at,
            owner_id=context.viewer.user_id,
            model=(input.options and input.options.model) or own_model or context.models.default_id,
            temporary=input.temporary,
            tools=tools_to_json(input.tools),
            external_id=input.external_id,
            assistant=policy.assistant_id,
            app_metadata=dict(cast("Json", input.conversation_metadata or {})),
        )
        turn = await _new_message_turn(session, context, conversation, [], input)
        return replace(turn, new_conversation=True)
    leaf = existing.active_leaf_id if input.parent_id is None else as_uuid(input.parent_id)
    branch = await branches.read(session, leaf)
    if input.parent_id is not None and (not branch or branch[-1].message.conversation_id != existing.id):
        raise NotFound(input.parent_id, "message of this conversation")
    return await _new_message_turn(session, context, existing, branch, input)


async def _existing_conversation(session: AsyncSession, owner: UUID, input: SendMessage) -> Conversation | None:
    """Return the conversation of a send, or None for a new one; raise NotFound or InvalidInput."""
    if input.conversation_id is None:
        if input.external_id is None:
            return None
        return await conversations.by_external_id(session, owner, input.external_id)
    new_only = {
        "temporary": input.temporary,
        "tools": input.tools,
        "externalId": input.external_id,
        "assistantId": input.assistant_id,
        "conversationMetadata": input.conversation_metadata,
    }
    for field, value in new_only.items():
        if value:
            raise InvalidInput(field, "must not be set with `conversationId`: it is for new conversations only.")
    conversation_id = as_uuid(input.conversation_id)
    existing = await conversations.get(session, owner, conversation_id) if conversation_id else None
    if existing is None:
        raise NotFound(input.conversation_id, "conversation")
    return existing


async def turn_of_edit(session: AsyncSession, context: Context, input: EditMessage, branches: BranchReader) -> Turn:
    """Return the turn of an edit: a new version of a user's message, as its sibling; raise NotFound or InvalidInput."""
    message, conversation = await find_message(session, context.viewer.user_id, input.message_id)
    if message.role is not Role.USER:
        raise InvalidInput(
            "messageId", "must be the id of a user's message. Use `regenerateMessage` for another version of an answer."
        )
    branch = await branches.read(session, message.parent_id)
    # The new version keeps what the input does not set.
    if input.attachment_ids is None:
        input = replace(input, attachment_ids=[ID(id) for id in attachment_ids(message.content)])
    if input.context is None:
        input = replace(input, context=message.context)
    if input.metadata is None:
        input = replace(input, metadata=JSON(message.app_metadata))
    return await _new_message_turn(session, context, conversation, branch, input)


async def turn_of_regeneration(
    session: AsyncSession, context: Context, input: RegenerateMessage, branches: BranchReader
) -> Turn:
    """Return the turn of a regeneration: the same question again; raise NotFound or InvalidInput."""
    owner = context.viewer.user_id
    answer, conversation = await find_message(session, owner, input.message_id)
    if answer.role is not Role.ASSISTANT:
        raise InvalidInput(
            "messageId", "must be the id of an answer. Use `editMessage` for a new version of a user's message."
        )
    branch = await branches.read(session, answer.parent_id)
    if not branch or branch[-1].message.role is not Role.USER:
        raise InvalidInput("messageId", "must be the id of an answer that follows a user's message.")
    question_id = branch[-1].message.id
    question = (await messages.get_many(session, owner, [question_id]))[question_id]
    return Turn(conversation, branch[:-1], question, new_message=False)


async def find_message(session: AsyncSession, owner: UUID, id: str) -> tuple[Message, Conversation]:
    """Return the owner's message with this id, and its conversation; raise NotFound."""
    message_id = as_uuid(id)
    message = (await messages.get_many(session, owner, [message_id])).get(message_id) if message_id else None
    conversation = await conversations.get(session, owner, message.conversation_id) if message else None
    if message is None or conversation is None:
        raise NotFound(id, "message")
    return message, conversation


async def _new_message_turn(
    session: AsyncSession,
    context: Context,
    conversation: Conversation,
    branch: Branch,
    input: SendMessage | EditMessage,
) -> Turn:
    """Return the turn of a new message of the user. Attachments come before the text, as Claude's API recommends."""
    model_id = policy_of(context, conversation).model_of(conversation, context.models.default_id)
    model = context.models.known((input.options and input.options.model) or model_id)
    earlier = [entry.message for entry in branch]
    attached = await attach(session, context, conversation, earlier, input.attachment_ids, model)
    text: list[Json] = [{"type": "text", "text": input.text}] if input.text.strip() else []
    if not attached.blocks and not text:
        raise blank_error("text")
    parent = earlier[-1] if earlier else None
    question = new_row(
        Message,
        id=new_id(),
        created_at=now(),
        conversation_id=conversation.id,
        parent_id=parent.id if parent else None,
        role=Role.USER,
        depth=parent.depth + 1 if parent else 0,
        content=[*attached.blocks, *text],
        context=stored_context(input.context),
        app_metadata=dict(cast("Json", input.metadata or {})),
    )
    return Turn(conversation, branch, question, attached)
