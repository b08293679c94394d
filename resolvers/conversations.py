"""The queries and mutations of conversations, and the fields of the type `Conversation`."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any
from uuid import UUID

from strawberry import UNSET

from tertulia.assistants.definition import ClientSetting
from tertulia.claude.models import Model
from tertulia.db import accounts, branches, changes, generations, leases
from tertulia.db import conversations as rows
from tertulia.db import metadata as metadata_rows
from tertulia.db.conversations import Filter, Order
from tertulia.db.database import AsyncSession
from tertulia.db.identities import Action
from tertulia.db.inserting import insert
from tertulia.db.ledger import UsageSum
from tertulia.db.paging import Connection, Page
from tertulia.db.rows import AnyConversation, AnyGeneration, ConversationRow, GenerationRow, MessageRow
from tertulia.db.tables import ChangeKind, Conversation, Generation
from tertulia.generation.retention import DeletedResources, ResourceDeleter, remove_part
from tertulia.json import Json
from tertulia.resolvers.app_data import check_external_id, filter_terms, merged
from tertulia.resolvers.arguments import (
    After,
    Before,
    ConversationId,
    ExternalId,
    First,
    Last,
    OptionalConversationId,
    argument,
)
from tertulia.resolvers.assistants import ClientPolicy, policy_of, policy_of_new
from tertulia.resolvers.context import Context, Info, as_uuid, loaded_by
from tertulia.resolvers.errors import BadUserInput, InvalidInput, NotFound
from tertulia.resolvers.inputs import (
    MAX_SYSTEM_PROMPT,
    MAX_TITLE,
    ConversationFilter,
    ConversationTools,
    CreateConversation,
    UpdateConversation,
    check_text,
)
from tertulia.resolvers.options import check_model, of_conversation
from tertulia.resolvers.tools import check_tools, tools_to_json


@dataclass(frozen=True, slots=True)
class ConversationPayload:
    """The conversation in its current state; `created` if the request created it."""

    conversation: AnyConversation
    created: bool = False


@dataclass(frozen=True, slots=True)
class ContextWindow:
    """How much of a model's context window a conversation uses, in tokens."""

    used_tokens: int
    limit: int | None
    compacts: bool


@dataclass(frozen=True, slots=True)
class DeletedConversation:
    """The deleted conversation."""

    deleted_id: str


async def conversation(
    info: Info, id: OptionalConversationId = None, external_id: ExternalId = None
) -> AnyConversation | None:
    """The viewer's conversation with this id, or with this id of the application. Null if it does not exist.

    Exactly one of the two must be passed; otherwise the field fails with the code BAD_USER_INPUT.
    """
    if (id is None) == (external_id is None):
        raise BadUserInput("externalId", "must be passed if `id` is not, and must not be passed with it.")
    if id is None:
        async with info.context.read() as session:
            return await rows.by_external_id(session, info.context.viewer.user_id, check_external_id(external_id or ""))
    conversation_id = as_uuid(id)
    return await info.context.loaders.conversations.load(conversation_id) if conversation_id else None


async def conversations(
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    filter: Annotated[
        ConversationFilter | None, argument("The conversations to list. Null lists all that are not temporary.")
    ] = None,
    order: Annotated[Order, argument("The order of the list. A cursor is only valid for its order.")] = (
        Order.LAST_ACTIVE
    ),
) -> Connection[ConversationRow]:
    """The viewer's conversations, by default the most recently active first.

    A page has at most 100 conversations, and 50 by default. A request for more fails with the code BAD_USER_INPUT.
    """
    filters = _filter(filter) if filter is not None else Filter()
    async with info.context.read() as session:
        return await rows.page(session, info.context.viewer.user_id, Page(first, after, last, before), filters, order)


async def messages(
    info: Info,
    root: AnyConversation,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Connection[MessageRow]:
    """The messages of the active branch, oldest first. A page has at most 100 messages, and 50 by default.

    `last: 20` returns the latest 20 messages.
    """
    async with info.context.read() as session:
        page = Page(first, after, last, before)
        return await branches.page(session, info.context.viewer.user_id, root.active_leaf_id, page)


@loaded_by(lambda loaders: loaders.messages, key=attrgetter("active_leaf_id"))
def last_message(info: Info, root: AnyConversation) -> Awaitable[MessageRow | None] | None:
    """The last message of the active branch. Null in an empty conversation."""
    return info.context.loaders.messages.load(root.active_leaf_id) if root.active_leaf_id else None


@loaded_by(lambda loaders: loaders.active_in, key=attrgetter("id"))
def active_generation(info: Info, root: AnyConversation) -> Awaitable[GenerationRow | None]:
    """The generation that is running, or else the first one that is queued. Null if there is none.

    A page that has just been opened can follow it.
    """
    return info.context.loaders.active_in.load(root.id)


def system_prompt(root: AnyConversation) -> str | None:
    """The instructions that Claude receives before the messages, at most 100,000 characters. Null for none.

    Null where an assistant answers, because its instructions are not shown: see `clientInstructions`.
    """
    return root.system_prompt if root.assistant is None else None


def client_instructions(root: AnyConversation) -> str | None:
    """The instructions that the client has set with `systemPrompt`, at most 100,000 characters. Null for none.

    Where an assistant answers, Claude receives them after the assistant's instructions, as long as `clientsMaySet` has
    INSTRUCTIONS.
    """
    return root.system_prompt


async def model(info: Info, root: AnyConversation | AnyGeneration) -> Model:
    """The Claude model that answers. Requests for answers can override it."""
    return await info.context.models.get(_model_id(info.context, root))


async def context(info: Info, root: AnyConversation) -> ContextWindow:
    """How much of the model's context window the active branch uses."""
    model = await info.context.models.get(_model_id(info.context, root))
    leaf = root.active_leaf_id
    used_tokens = await info.context.loaders.context_tokens.load(leaf) if leaf else 0
    return ContextWindow(used_tokens or 0, model.max_input_tokens, model.compacts)


def usage(root: AnyConversation) -> UsageSum:
    """The usage of all generations of the conversation, on all branches, in tokens and US dollars."""
    return UsageSum(root.input_tokens, root.output_tokens, root.cache_read_tokens, root.cache_write_tokens, root.amount)


async def create_conversation(
    info: Info,
    input: Annotated[CreateConversation, argument("The fields of the conversation. `{}` uses the defaults.")],
) -> ConversationPayload:
    """Create an empty conversation. `sendMessage` can also create one.

    A repeated request creates another conversation, except with an `externalId`: then it returns the existing one.

    - `InvalidInput`: The title, the system prompt or the `externalId` is too long, the metadata is not accepted, the
      model, an option or a tool is not available, or the assistant does not exist or does not let clients set a field.
    - `RateLimited`: The viewer has sent too many messages. Creating a conversation counts as one.
    """
    return await create(info.context, input)


async def create(context: Context, input: CreateConversation) -> ConversationPayload:
    """Create an empty conversation, for `createConversation` and AG-UI; raise InvalidInput or RateLimited."""
    values = await check_values(
        context, {"title": input.title, "system_prompt": input.system_prompt, "model": input.model}
    )
    policy, default_id = policy_of_new(context, input.assistant_id), context.models.default_id
    _check_policy(policy, {**values, "options": input.options, "tools": input.tools}, default_id)
    values["assistant"] = policy.assistant_id
    values["model"] = values["model"] or policy.model_of_new(default_id)
    values["options"] = await of_conversation(context, input.options, values["model"])
    await check_tools(context, input.tools)
    values["tools"] = tools_to_json(input.tools)
    values["app_metadata"] = merged({}, "metadata", input.metadata)
    values["external_id"] = None if input.external_id is None else check_external_id(input.external_id)
    await context.limits.check_send(context.viewer.user_id)
    conversation = Conversation(owner_id=context.viewer.user_id, temporary=input.temporary, **values)
    async with context.database.write() as session:
        # With this lock, concurrent requests with one external id create one conversation.
        await leases.lock_owner(session, conversation.owner_id)
        if conversation.external_id is not None:
            existing = await rows.by_external_id(session, conversation.owner_id, conversation.external_id)
            if existing is not None:
                return ConversationPayload(existing)
        await insert(session, [conversation])
        await metadata_rows.add(session, conversation.owner_id, conversation.id, conversation.app_metadata)
        await changes.record(session, conversation.owner_id, (ChangeKind.CREATED, conversation.id, None))
    context.changed()
    return ConversationPayload(conversation, created=True)


async def update_conversation(
    info: Info, input: Annotated[UpdateConversation, argument("The conversation and the fields to change.")]
) -> ConversationPayload:
    """Change fields of a conversation. Omitted fields do not change, and running generations are not affected.

    - `InvalidInput`: The title or system prompt is too long, a field must not be null, the metadata is not accepted,
      the model, an option, a tool or the assistant is not available, or the assistant does not let clients set a field.
    - `NotFound`: The conversation does not exist.
    """
    return await update(info.context, input)


async def update(context: Context, input: UpdateConversation) -> ConversationPayload:
    """Change a conversation, for `updateConversation` and AG-UI; raise InvalidInput or NotFound."""
    conversation_id = as_uuid(input.id)
    changed_fields = {key: value for key, value in vars(input).items() if key != "id" and value is not UNSET}
    for key in ("model", "assistant_id", "archived", "pinned"):
        if key in changed_fields and changed_fields[key] is None:
            raise InvalidInput(key.replace("_id", "Id"), "must not be null. Omit it to keep its value.")
    metadata = changed_fields.pop("metadata", UNSET)
    current = await context.loaders.conversations.load(conversation_id) if conversation_id else None
    if current is None:
        raise NotFound(input.id, "conversation")
    values = await _changed_values(context, current, changed_fields)
    async with context.database.write() as session:
        owner = context.viewer.user_id
        if conversation_id and (values or metadata is not UNSET):
            await leases.lock_owner(session, owner)
            if "assistant" in values and await generations.unfinished(session, owner, [conversation_id]):
                raise InvalidInput("assistantId", "must not change while an answer is running or queued.")
            if metadata is not UNSET:
                values["app_metadata"] = await _changed_metadata(session, owner, conversation_id, metadata)
            if await rows.change(session, owner, conversation_id, values):
                await changes.record(session, owner, (ChangeKind.UPDATED, conversation_id, None))
        updated = await rows.get(session, owner, conversation_id) if conversation_id else None
    if updated is None:
        raise NotFound(input.id, "conversation")
    context.changed()
    return ConversationPayload(updated)


async def delete_conversation(info: Info, id: ConversationId) -> DeletedConversation:
    """Delete a conversation with its messages, attachments and events. Its running generations are stopped.

    This cannot be undone. The usage of the conversation still counts towards the viewer's usage and budget.

    - `NotFound`: The conversation does not exist, or has already been deleted.
    """
    conversation_id = as_uuid(id)
    if conversation_id is None or await info.context.loaders.conversations.load(conversation_id) is None:
        raise NotFound(id, "conversation")
    owner = info.context.viewer.user_id
    async with info.context.read() as session:
        unfinished = await generations.unfinished(session, owner, [conversation_id])
    # Stop the last one first: otherwise, stopping a generation would start the next queued one.
    for generation in reversed(unfinished.get(conversation_id, [])):
        await info.context.generation_manager.stop(generation.id)

    async def remove(session: AsyncSession) -> tuple[Sequence[Generation], DeletedResources]:
        await leases.lock_owner(session, owner)
        started_meanwhile = await generations.unfinished(session, owner, [conversation_id])
        removed = await remove_part(session, owner, conversation_id)
        if removed is None:
            raise NotFound(id, "conversation")
        details = {"conversation": str(conversation_id)}
        await accounts.audit(session, Action.CONVERSATION_DELETED, owner, info.context.address, **details)
        return started_meanwhile.get(conversation_id, []), removed

    started_meanwhile, removed = await info.context.database.write_again(remove)
    info.context.changed()
    for generation in started_meanwhile:
        # It started during the deletion. Its row has been deleted, so stopping it saves nothing.
        await info.context.generation_manager.stop(generation.id)
    services = info.context.services
    await ResourceDeleter(services.database, services.log, services.files).finish(removed, owner, conversation_id)
    return DeletedConversation(str(conversation_id))


async def _changed_values(context: Context, current: AnyConversation, changed_fields: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a conversation's columns that clients may change; raise InvalidInput."""
    default_id = context.models.default_id
    assistant_id = changed_fields.pop("assistant_id", UNSET)
    values = await check_values(context, changed_fields)
    policy = policy_of(context, current) if assistant_id is UNSET else policy_of_new(context, assistant_id)
    _check_policy(policy, values, default_id, is_change=True)
    if assistant_id is not UNSET and assistant_id != current.assistant:
        own_model = {} if "model" in values else {"model": policy.model_of_new(default_id)}
        values |= {**own_model, "assistant": assistant_id}
    if "options" in values:
        model_id = values.get("model") or _model_id(context, current)
        values["options"] = await of_conversation(context, values["options"], model_id)
    if "tools" in values:
        await check_tools(context, values["tools"])
        values["tools"] = tools_to_json(values["tools"])
    return values


async def _changed_metadata(session: AsyncSession, owner: UUID, conversation_id: UUID, change: Any) -> Json:
    """Index and return the metadata of the owner's conversation with a change; raise InvalidInput."""
    current = await rows.get(session, owner, conversation_id)
    if current is None:
        raise NotFound(str(conversation_id), "conversation")
    metadata = merged(current.app_metadata, "metadata", change)
    await metadata_rows.replace(session, owner, conversation_id, metadata)
    return metadata


def _filter(filter: ConversationFilter) -> Filter:
    values = {key: value for key, value in vars(filter).items() if key != "metadata"}
    terms = filter_terms(filter.metadata.contains) if filter.metadata else frozenset[str]()
    return Filter(**values, metadata_terms=terms)


def _check_policy(policy: ClientPolicy, values: Mapping[str, Any], default_id: str, *, is_change: bool = False) -> None:
    """Raise InvalidInput for a value that clients must not set.

    Args:
        policy: The policy of the conversation.
        values: The client's values by the names of the columns.
        default_id: The id of the server's default model.
        is_change: Whether null is a value too, which changes a conversation.
    """
    if "system_prompt" in values and (is_change or values["system_prompt"] is not None):
        policy.check("systemPrompt", ClientSetting.INSTRUCTIONS)
    if values.get("model") is not None:
        policy.check_model("model", values["model"], default_id)
    policy.check_options(values.get("options"), default_id)
    if is_change and "options" in values:
        # The new options replace all others.
        policy.check("options", ClientSetting.OPTIONS)
    tools = values.get("tools")
    policy.check_tools(tools or ConversationTools() if is_change and "tools" in values else tools)


def _model_id(context: Context, row: AnyConversation | AnyGeneration) -> str:
    if isinstance(row, AnyConversation):
        return policy_of(context, row).model_of(row, context.models.default_id)
    return row.model


async def check_values(context: Context, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values unchanged; raise InvalidInput for an invalid title, system prompt or model."""
    for key, field, limit in (
        ("title", "title", MAX_TITLE),
        ("system_prompt", "systemPrompt", MAX_SYSTEM_PROMPT),
    ):
        if values.get(key) is not None:
            check_text(field, values[key], limit)
    if values.get("model") is not None:
        await check_model(context, "model", values["model"])
    return values
