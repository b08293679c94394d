"""Conversations: reading, creating, changing and deleting them."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated, Any

from strawberry import UNSET

from tertulia.claude.models import Model
from tertulia.db import accounts, changes, generations, leases
from tertulia.db import conversations as rows
from tertulia.db import messages as message_rows
from tertulia.db.conversations import Filter, Order
from tertulia.db.identities import Action
from tertulia.db.inserting import insert
from tertulia.db.ledger import UsageSum
from tertulia.db.paging import Connection, Page
from tertulia.db.tables import ChangeKind, Conversation, Generation, Message
from tertulia.generation.retention import ResourceDeleter, remove_part
from tertulia.resolvers.arguments import After, Before, ConversationId, First, Last, argument
from tertulia.resolvers.context import Info, as_uuid
from tertulia.resolvers.errors import InvalidInput, NotFound
from tertulia.resolvers.inputs import (
    MAX_SYSTEM_PROMPT,
    MAX_TITLE,
    ConversationFilter,
    CreateConversation,
    UpdateConversation,
    check_text,
)
from tertulia.resolvers.options import check_model, of_conversation
from tertulia.resolvers.tools import check_tools
from tertulia.resolvers.tools import stored as tools_stored


@dataclass(frozen=True, slots=True)
class ConversationPayload:
    """The conversation as it is now."""

    conversation: Conversation


@dataclass(frozen=True, slots=True)
class ContextWindow:
    """How full a model's window is, in tokens."""

    used_tokens: int
    limit: int | None
    compacts: bool


@dataclass(frozen=True, slots=True)
class DeletedConversation:
    """The deleted conversation."""

    deleted_id: str


async def conversation(info: Info, id: ConversationId) -> Conversation | None:
    """The viewer's conversation of that id; null where there is none."""
    conversation_id = as_uuid(id)
    return await info.context.loaders.conversations.load(conversation_id) if conversation_id else None


async def conversations(
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    filter: Annotated[ConversationFilter | None, argument("Which ones; null for all that are not temporary.")] = None,
    order: Annotated[Order, argument("In what order; cursors belong to one order.")] = Order.LAST_ACTIVE,
) -> Connection[Conversation]:
    """The viewer's conversations, the most recently active first unless `order` says otherwise.

    Pages hold at most 100, and 50 unless asked; more fails with the code BAD_USER_INPUT.
    """
    filters = Filter(**vars(filter)) if filter is not None else Filter()
    async with info.context.read() as session:
        return await rows.page(session, info.context.viewer.user_id, Page(first, after, last, before), filters, order)


async def messages(
    info: Info,
    root: Conversation,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Connection[Message]:
    """The active branch, oldest first. Pages hold at most 100, and 50 unless asked; `last: 20` gives its end."""
    async with info.context.read() as session:
        page = Page(first, after, last, before)
        return await message_rows.page(session, info.context.viewer.user_id, root.active_leaf_id, page)


def last_message(info: Info, root: Conversation) -> Awaitable[Message | None] | None:
    """The end of the active branch; null in an empty conversation."""
    return info.context.loaders.messages.load(root.active_leaf_id) if root.active_leaf_id else None


def active_generation(info: Info, root: Conversation) -> Awaitable[Generation | None]:
    """The answer being written now: what a refreshed page attaches to. Of several in line, the first; null for none."""
    return info.context.loaders.active_in.load(root.id)


async def model(info: Info, root: Conversation | Generation) -> Model:
    """The Claude model that answers, unless a send names another."""
    return await info.context.models.get(root.model)


async def context(info: Info, root: Conversation) -> ContextWindow:
    """How full the model's window is on the active branch."""
    model = await info.context.models.get(root.model)
    leaf = root.active_leaf_id
    used_tokens = await info.context.loaders.context_tokens.load(leaf) if leaf else 0
    return ContextWindow(used_tokens or 0, model.max_input_tokens, model.compacts)


def usage(root: Conversation) -> UsageSum:
    """What all answers of the conversation have used, of all its branches; in tokens and US dollars."""
    return UsageSum(root.input_tokens, root.output_tokens, root.cache_read_tokens, root.cache_write_tokens, root.amount)


async def create_conversation(
    info: Info, input: Annotated[CreateConversation, argument("How it is to be; `{}` will do.")]
) -> ConversationPayload:
    """Make an empty conversation. Doing it twice makes two; `sendMessage` makes one by itself.

    - `InvalidInput`: a title or system prompt that is too long, or a model, options or tools that there are not here.
    - `RateLimited`: too much in too little time; it counts as a message.
    """
    values = await check_values(
        info, {"title": input.title, "system_prompt": input.system_prompt, "model": input.model}
    )
    values["model"] = values["model"] or info.context.models.default_id
    values["options"] = await of_conversation(info.context, input.options, values["model"])
    await check_tools(info.context, input.tools)
    values["tools"] = tools_stored(input.tools)
    await info.context.services.limits.check_send(info.context.viewer.user_id)
    conversation = Conversation(owner_id=info.context.viewer.user_id, temporary=input.temporary, **values)
    async with info.context.database.write() as session:
        await leases.lock_owner(session, conversation.owner_id)
        await insert(session, [conversation])
        await changes.record(session, conversation.owner_id, (ChangeKind.CREATED, conversation.id, None))
    info.context.changed()
    return ConversationPayload(conversation)


async def update_conversation(
    info: Info, input: Annotated[UpdateConversation, argument("Which conversation, and what to change of it.")]
) -> ConversationPayload:
    """Change what is given; what is left out stays as it is. Answers that are being written go on as they were asked.

    - `InvalidInput`: a title or system prompt that is too long, a null that cannot be, or a model, options or tools
      that there are not here.
    - `NotFound`: there is no such conversation.
    """
    conversation_id = as_uuid(input.id)
    changed_fields = {key: value for key, value in vars(input).items() if key != "id" and value is not UNSET}
    for key in ("model", "archived", "pinned"):
        if key in changed_fields and changed_fields[key] is None:
            raise InvalidInput(key, "cannot be null.")
    values = await check_values(info, changed_fields)
    if "options" in values:
        current = await info.context.loaders.conversations.load(conversation_id) if conversation_id else None
        model_id = values.get("model") or (current.model if current else info.context.models.default_id)
        values["options"] = await of_conversation(info.context, values["options"], model_id)
    if "tools" in values:
        await check_tools(info.context, values["tools"])
        values["tools"] = tools_stored(values["tools"])
    async with info.context.database.write() as session:
        owner = info.context.viewer.user_id
        if conversation_id and values:
            await leases.lock_owner(session, owner)
            if await rows.change(session, owner, conversation_id, values):
                await changes.record(session, owner, (ChangeKind.UPDATED, conversation_id, None))
        updated = await rows.get(session, owner, conversation_id) if conversation_id else None
    if updated is None:
        raise NotFound(input.id, "conversation")
    info.context.changed()
    return ConversationPayload(updated)


async def delete_conversation(info: Info, id: ConversationId) -> DeletedConversation:
    """Delete a conversation with its messages, attachments and logs; an answer being written is stopped.

    It cannot be taken back. What was used stays on the bill.

    - `NotFound`: there is no such conversation, or not any more.
    """
    conversation_id = as_uuid(id)
    if conversation_id is None or await info.context.loaders.conversations.load(conversation_id) is None:
        raise NotFound(id, "conversation")
    owner = info.context.viewer.user_id
    async with info.context.read() as session:
        unfinished = await generations.unfinished(session, owner, [conversation_id])
    # The last one first: a queued generation must not start when the one before it is stopped.
    for generation in reversed(unfinished.get(conversation_id, [])):
        await info.context.generation_manager.stop(generation.id)
    async with info.context.database.write() as session:
        await leases.lock_owner(session, owner)
        started_meanwhile = await generations.unfinished(session, owner, [conversation_id])
        removed = await remove_part(session, owner, conversation_id)
        if removed is None:
            raise NotFound(id, "conversation")
        details = {"conversation": str(conversation_id)}
        await accounts.audit(session, Action.CONVERSATION_DELETED, owner, info.context.address, **details)
    info.context.changed()
    for generation in started_meanwhile.get(conversation_id, []):
        # It started during the deletion. Its row is deleted, so there is nothing to save.
        await info.context.generation_manager.stop(generation.id)
    services = info.context.services
    await ResourceDeleter(services.database, services.log, services.files).finish(removed, owner, conversation_id)
    return DeletedConversation(str(conversation_id))


async def check_values(info: Info, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a conversation; raise InvalidInput for the first that is not accepted."""
    for key, field, limit in (
        ("title", "title", MAX_TITLE),
        ("system_prompt", "systemPrompt", MAX_SYSTEM_PROMPT),
    ):
        if values.get(key) is not None:
            check_text(field, values[key], limit)
    if values.get("model") is not None:
        await check_model(info.context, "model", values["model"])
    return values
