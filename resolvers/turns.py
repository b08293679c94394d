"""Where a turn stands: the message of the user's, and the branch in front of it, for each way to ask for an answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from strawberry import ID

from tertulia.db import conversations, messages
from tertulia.db.database import AsyncSession
from tertulia.db.messages import OnBranch
from tertulia.db.tables import Conversation, Message, Role
from tertulia.json import Json
from tertulia.resolvers.attachments import Attached, attach, attachment_ids
from tertulia.resolvers.context import Context, as_uuid
from tertulia.resolvers.errors import InvalidInput, NotFound
from tertulia.resolvers.inputs import EditMessage, RegenerateMessage, SendMessage, blank
from tertulia.resolvers.tools import stored as tools_stored

NOTHING = Attached()
Branch = Sequence[OnBranch]


@dataclass(frozen=True, slots=True)
class Turn:
    """What is to be answered: `asked`, the user's message, behind `branch`, oldest first."""

    conversation: Conversation
    branch: Branch
    asked: Message
    attached: Attached = NOTHING
    new_conversation: bool = False
    new_message: bool = True


async def of_send(session: AsyncSession, context: Context, input: SendMessage) -> Turn:
    """Go on at the end of the active branch, or where `parentId` says, or in a new conversation."""
    if input.conversation_id is None:
        if input.parent_id is not None:
            raise NotFound(input.parent_id, "message of this conversation")
        model = (input.options and input.options.model) or context.models.default_id
        tools = tools_stored(input.tools)
        conversation = Conversation(
            owner_id=context.viewer.user_id, model=model, temporary=input.temporary, tools=tools
        )
        turn = await _said(session, context, conversation, [], input)
        return replace(turn, new_conversation=True)
    for field, given in (("temporary", input.temporary), ("tools", input.tools)):
        if given:
            raise InvalidInput(field, "is said of a new conversation, so not beside conversationId.")
    wanted = as_uuid(input.conversation_id)
    found = await conversations.get(session, context.viewer.user_id, wanted) if wanted else None
    if found is None:
        raise NotFound(input.conversation_id, "conversation")
    leaf = found.active_leaf_id if input.parent_id is None else as_uuid(input.parent_id)
    branch = await messages.branch(session, leaf)
    if input.parent_id is not None and (not branch or branch[-1].message.conversation_id != found.id):
        raise NotFound(input.parent_id, "message of this conversation")
    return await _said(session, context, found, branch, input)


async def of_edit(session: AsyncSession, context: Context, input: EditMessage) -> Turn:
    """Ask in other words, beside a message of the user's."""
    message, conversation = await find_message(session, context.viewer.user_id, input.message_id)
    if message.role is not Role.USER:
        raise InvalidInput("messageId", "is an answer of Claude's: regenerateMessage gives another one.")
    branch = await messages.branch(session, message.parent_id)
    if input.attachment_ids is None:
        # What is left out stays as it is.
        input = replace(input, attachment_ids=[ID(id) for id in attachment_ids(message.content)])
    return await _said(session, context, conversation, branch, input)


async def of_regeneration(session: AsyncSession, context: Context, input: RegenerateMessage) -> Turn:
    """Ask the same again, beside an answer."""
    answer, conversation = await find_message(session, context.viewer.user_id, input.message_id)
    if answer.role is not Role.ASSISTANT:
        raise InvalidInput("messageId", "is a message of the user's: name the answer behind it, or use editMessage.")
    branch = await messages.branch(session, answer.parent_id)
    if not branch:
        raise InvalidInput("messageId", "answers nothing, so there is nothing to ask again.")
    return Turn(conversation, branch[:-1], branch[-1].message, new_message=False)


async def find_message(session: AsyncSession, owner: UUID, id: str) -> tuple[Message, Conversation]:
    """Give the owner's message of that id, and its conversation; raise NotFound."""
    wanted = as_uuid(id)
    message = (await messages.get_many(session, owner, [wanted])).get(wanted) if wanted else None
    conversation = await conversations.get(session, owner, message.conversation_id) if message else None
    if message is None or conversation is None:
        raise NotFound(id, "message")
    return message, conversation


async def _said(
    session: AsyncSession,
    context: Context,
    conversation: Conversation,
    branch: Branch,
    input: SendMessage | EditMessage,
) -> Turn:
    """Give the turn of a new message of the user's: what it shows stands in front of its words, as Claude likes it."""
    model = context.models.known((input.options and input.options.model) or conversation.model)
    earlier = [one.message for one in branch]
    attached = await attach(session, context, conversation, earlier, input.attachment_ids, model)
    text: list[Json] = [{"type": "text", "text": input.text}] if input.text.strip() else []
    if not attached.blocks and not text:
        raise blank("text")
    asked = _asked(conversation.id, earlier[-1] if earlier else None, [*attached.blocks, *text])
    return Turn(conversation, branch, asked, attached)


def _asked(conversation_id: UUID, parent: Message | None, content: list[Json]) -> Message:
    return Message(
        conversation_id=conversation_id,
        parent_id=parent.id if parent else None,
        role=Role.USER,
        depth=parent.depth + 1 if parent else 0,
        content=content,
    )
