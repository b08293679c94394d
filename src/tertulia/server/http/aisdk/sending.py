"""Decides what a request of a chat means: a new message, another version of one or of an answer, or tool results."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

from strawberry import ID
from strawberry.scalars import JSON

from tertulia.db import branches, conversations, generations, tool_calls
from tertulia.db.paging import Page, encode_cursor
from tertulia.db.rows import AnyConversation, AnyGeneration, MessageRow
from tertulia.db.tables import UNFINISHED, Role, Status
from tertulia.db.tool_calls import CallStatus, ToolCall
from tertulia.json import Json, encode, is_object
from tertulia.resolvers.app_data import check_external_id
from tertulia.resolvers.content import joined_text
from tertulia.resolvers.context import Context, as_uuid
from tertulia.resolvers.errors import InvalidInput, NotFound
from tertulia.resolvers.inputs import (
    ClientTool,
    ConversationTools,
    EditMessage,
    GenerationOptions,
    RegenerateMessage,
    SendMessage,
    SubmitToolResults,
    ToolResult,
)
from tertulia.resolvers.send import edit, send, start
from tertulia.resolvers.tool_results import submit
from tertulia.resolvers.turns import turn_of_regeneration
from tertulia.server.http.aisdk.request import AiSdkRequest, UIMessage
from tertulia.server.http.inline_files import InlineFile, attach

MESSAGE_KEYS = UUID("2b0b1a53-6f0e-4c55-9a0a-0a6d4c1f7c11")
"""The namespace of the idempotency keys of messages."""
SEARCHED = 20
"""The messages after the last known answer among which the last question is looked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to follow, and the blocks of it that the client has."""

    generation: AnyGeneration
    known: Sequence[Json] = ()


async def begin(context: Context, chat: AiSdkRequest) -> Answer:
    """Do what a request asks for, and return the answer to follow; raise an ExpectedError or RateLimited."""
    conversation = await find_chat(context, check_external_id(chat.id))
    if chat.last.role == "assistant":
        return await _submit(context, chat, conversation)
    if chat.last.role != "user":
        raise InvalidInput(
            "messages", "must end with a message of the user, or with an answer whose calls have results."
        )
    if conversation is not None and chat.trigger == "regenerate-message":
        generation = await _generation_of_question(context, chat, conversation)
        if generation is not None:
            return await _regenerate(context, chat, generation)
    elif conversation is not None and chat.message_id is not None:
        question = await _question(context, chat, conversation)
        if question is not None:
            return await _edit(context, chat, question)
    return await _send(context, chat, conversation)


async def find_chat(context: Context, id: str) -> AnyConversation | None:
    """Return the viewer's conversation with this id, or with this id of the application."""
    uuid = as_uuid(id)
    if uuid is not None and (conversation := await context.loaders.conversations.load(uuid)) is not None:
        return conversation
    async with context.read() as session:
        return await conversations.by_external_id(session, context.viewer.user_id, id)


def _key_of(chat: AiSdkRequest) -> ID:
    """Return a key that is the same when a message is sent again because its response was lost."""
    before = chat.messages[-2].id if len(chat.messages) > 1 else None
    try:
        name = encode([chat.id, before, chat.last.id, chat.last.parts])
    except ValueError:
        raise InvalidInput("messages", "must be JSON with at most 128 levels.") from None
    return ID(str(uuid5(MESSAGE_KEYS, hashlib.sha256(name).hexdigest())))


async def _send(context: Context, chat: AiSdkRequest, conversation: AnyConversation | None) -> Answer:
    key = _key_of(chat)
    async with context.read() as session:
        used = await generations.by_key(session, context.viewer.user_id, key, writes=False)
    if used is not None and (generation := await context.loaders.generations.load(used.generation_id)) is not None:
        # Without storing its files again, which would have other ids.
        return Answer(generation)
    tools = [ClientTool(tool.name, tool.description, JSON(tool.input_schema)) for tool in chat.tools or ()]
    is_new = conversation is None
    message = SendMessage(
        chat.last.text,
        conversation_id=None if conversation is None else ID(str(conversation.id)),
        attachment_ids=await _files(context, chat.last),
        options=_options(chat),
        idempotency_key=key,
        when_busy=chat.when_busy,
        tools=ConversationTools(client=tools) if is_new and tools else None,
        context=chat.context,
        metadata=chat.last.metadata,
        external_id=chat.id if is_new else None,
        assistant_id=ID(chat.assistant_id) if is_new and chat.assistant_id is not None else None,
        conversation_metadata=chat.conversation_metadata if is_new else None,
    )
    return Answer((await send(context, message)).generation)


async def _edit(context: Context, chat: AiSdkRequest, question: MessageRow) -> Answer:
    edited = EditMessage(
        ID(str(question.id)),
        chat.last.text,
        attachment_ids=await _files(context, chat.last) or [],
        options=_options(chat),
        when_busy=chat.when_busy,
        context=chat.context,
        metadata=chat.last.metadata,
    )
    return Answer((await edit(context, edited)).generation)


async def _files(context: Context, message: UIMessage) -> list[ID] | None:
    files = [
        InlineFile(str(part.get("url")), str(part.get("filename") or ""))
        for part in message.objects
        if part.get("type") == "file"
    ]
    return await attach(context, "messages", files) or None


def _options(chat: AiSdkRequest) -> GenerationOptions | None:
    return None if chat.model is None else GenerationOptions(model=chat.model)


async def _question(context: Context, chat: AiSdkRequest, conversation: AnyConversation) -> MessageRow | None:
    """Return the stored message that is edited: the client has its own ids of the user's messages."""
    named = await _message(context, conversation, chat.message_id)
    if named is not None and named.role is Role.USER:
        return named
    return next((row for row in await _after_last_answer(context, chat, conversation) if row.role is Role.USER), None)


async def _generation_of_question(
    context: Context, chat: AiSdkRequest, conversation: AnyConversation
) -> AnyGeneration | None:
    """Return the generation of the answer that is written again; None if the last question was not stored."""
    answer = await _message(context, conversation, chat.message_id)
    if answer is None or answer.role is not Role.ASSISTANT:
        rows, text = await _after_last_answer(context, chat, conversation), chat.last.text
        questions = {row.id for row in rows if row.role is Role.USER and joined_text(row.content) == text}
        answer = next((row for row in rows if row.parent_id in questions), None)
    return await context.loaders.generation_of.load(answer.id) if answer is not None else None


async def _regenerate(context: Context, chat: AiSdkRequest, generation: AnyGeneration) -> Answer:
    """Write an answer again. The client also asks for this when it has lost the response with the first version."""
    if generation.status in UNFINISHED:
        return Answer(generation)
    again = RegenerateMessage(ID(str(generation.message_id)), _options(chat), when_busy=chat.when_busy)
    return Answer((await start(context, again, turn_of_regeneration)).generation)


async def _message(context: Context, conversation: AnyConversation, id: str | None) -> MessageRow | None:
    """Return the message of the conversation with this id, which a client may have made itself."""
    uuid = as_uuid(id) if id is not None else None
    row = await context.loaders.messages.load(uuid) if uuid is not None else None
    return row if row is not None and row.conversation_id == conversation.id else None


async def _after_last_answer(
    context: Context, chat: AiSdkRequest, conversation: AnyConversation
) -> Sequence[MessageRow]:
    """Return the first messages of the active branch after the last answer that the client shows before its message."""
    shown = next((message.id for message in reversed(chat.messages[:-1]) if message.role == "assistant"), None)
    answer = await _message(context, conversation, shown)
    page = Page(SEARCHED, None if answer is None else encode_cursor(str(answer.depth)))
    async with context.read() as session:
        rows = await branches.page(session, context.viewer.user_id, conversation.active_leaf_id, page)
    return [edge.node for edge in rows.edges]


async def _submit(context: Context, chat: AiSdkRequest, conversation: AnyConversation | None) -> Answer:
    """Submit the results of the last answer's calls that wait, and follow it. A repetition only follows it."""
    message = await _message(context, conversation, chat.last.id) if conversation is not None else None
    generation = await context.loaders.generation_of.load(message.id) if message is not None else None
    if message is None or generation is None:
        raise NotFound(chat.last.id, "answer in this conversation")
    parts = {part["toolCallId"]: part for part in chat.last.tool_parts}
    last = max((index for index, block in enumerate(message.content) if block.get("id") in parts), default=None)
    async with context.read() as session:
        calls = await tool_calls.of_generation(session, generation.id)
    results = [
        result
        for id, part in parts.items()
        if (call := calls.get(id)) is not None
        and call.status is CallStatus.WAITING
        and (result := _result(call, part)) is not None
    ]
    if last is None or (not results and generation.status is Status.AWAITING_TOOL_RESULTS):
        raise InvalidInput(
            "messages", "must end with a new message of the user, or a result of a call that waits for one."
        )
    if results:
        await submit(context, SubmitToolResults(ID(str(generation.id)), results))
    return Answer(generation, message.content[: last + 1])


def _result(call: ToolCall, part: Json) -> ToolResult | None:
    """Return the result of a call that a part contains; None if it has none yet."""
    approval, state = part.get("approval"), part.get("state")
    id = ID(call.tool_use_id)
    if call.asks_first:
        if state != "approval-responded" or not is_object(approval):
            return None
        approved, reason = approval.get("approved") is True, approval.get("reason")
        return ToolResult(id, None if approved or not isinstance(reason, str) else JSON(reason), approved=approved)
    if state == "output-available":
        return ToolResult(id, part.get("output"))
    return ToolResult(id, part.get("errorText"), is_error=True) if state == "output-error" else None
