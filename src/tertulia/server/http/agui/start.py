"""Decides what a run does: send a message, submit results, write another version of an answer, or follow one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from strawberry import ID
from strawberry.scalars import JSON

from tertulia.db import conversations, generations, tool_calls
from tertulia.db.ledger import UsageSum
from tertulia.db.rows import AnyConversation, AnyGeneration, MessageRow
from tertulia.db.tables import UNFINISHED, Role, Status
from tertulia.db.tool_calls import CallStatus, ToolCall
from tertulia.json import Json, is_object
from tertulia.resolvers.app_data import check_context, check_external_id
from tertulia.resolvers.context import Context, as_uuid
from tertulia.resolvers.conversations import create, update
from tertulia.resolvers.errors import InvalidInput
from tertulia.resolvers.inputs import (
    ClientTool,
    ConversationTools,
    CreateConversation,
    GenerationOptions,
    RegenerateMessage,
    SendMessage,
    SubmitToolResults,
    ToolResult,
    UpdateConversation,
)
from tertulia.resolvers.messages import usage
from tertulia.resolvers.send import send, start
from tertulia.resolvers.tool_results import submit
from tertulia.resolvers.turns import turn_of_regeneration
from tertulia.server.http.agui.messages import CLIENT_DATA, client_id_of
from tertulia.server.http.agui.run_input import (
    DataSource,
    FileSource,
    MediaPart,
    RunAgentInput,
    TextPart,
    ToolMessage,
    UserMessage,
    text_of,
)
from tertulia.server.http.inline_files import InlineFile, attach

RUN_KEYS = UUID("5f0c6a7e-3f0b-4b52-9a39-6c1d5a0f6c11")
"""The namespace of the idempotency keys of runs."""


@dataclass(frozen=True, slots=True)
class Run:
    """The answer that a run follows.

    Attributes:
        conversation: The thread; None if it does not exist yet, and the run sends nothing.
        generation: The answer to follow; None if there is none.
        after: The last event of the answer before the run; None to begin with a snapshot of the thread.
        known: The blocks of the answer that earlier runs have sent.
        answered: The calls whose results came from the client.
        reported: The usage of the answer before the run; None if it is not known.
    """

    conversation: AnyConversation | None = None
    generation: AnyGeneration | None = None
    after: int | None = None
    known: Sequence[Json] = ()
    answered: frozenset[str] = frozenset()
    reported: UsageSum | None = None


async def begin(context: Context, input: RunAgentInput) -> Run:
    """Do what a run asks for, and return what it follows; raise an ExpectedError or RateLimited."""
    key = ID(str(uuid5(RUN_KEYS, f"{input.thread_id}\n{input.run_id}")))
    repeated = await _of_key(context, key)
    if repeated is not None:
        return await follow_answer(
            context, await context.loaders.conversations.load(repeated.conversation_id), repeated
        )
    thread = await _thread(context, input.thread_id)
    question, answer = (None, None) if thread is None else await _last_turn(context, thread)
    new = input.last_user_messages
    known_id = client_id_of(question) if question is not None else None
    is_known = bool(new) and new[-1].id == known_id
    if new and not is_known:
        ids = [message.id for message in new]
        unsent = new[ids.index(known_id) + 1 :] if known_id in ids else new
        return await _send(context, input, thread, unsent, key)
    active = await context.loaders.active_in.load(thread.id) if thread is not None else None
    if active is not None and active.status is Status.AWAITING_TOOL_RESULTS and not is_known:
        return await _submit(context, input, thread, active)
    if answer is None:
        return Run(thread)
    generation = active or await context.loaders.generation_of.load(answer.id)
    if is_known and (generation is None or generation.status not in UNFINISHED):
        request = RegenerateMessage(ID(str(answer.id)), idempotency_key=key)
        payload = await start(context, request, turn_of_regeneration)
        return Run(payload.conversation, payload.generation, None if payload.replayed else 0, reported=UsageSum())
    return await follow_answer(context, thread, generation)


async def _of_key(context: Context, key: str) -> AnyGeneration | None:
    async with context.read() as session:
        row = await generations.by_key(session, context.viewer.user_id, key, writes=False)
    return await context.loaders.generations.load(row.generation_id) if row is not None else None


async def follow_answer(context: Context, thread: AnyConversation | None, generation: AnyGeneration | None) -> Run:
    """Return a run that begins with a snapshot. Its usage is that of the answer, unless other runs have reported it."""
    if generation is None:
        return Run(thread)
    async with context.read() as session:
        calls = await tool_calls.of_generation(session, generation.id)
    has_earlier_runs = any(call.fingerprint is not None for call in calls.values())
    return Run(thread, generation, reported=None if has_earlier_runs else UsageSum())


async def _thread(context: Context, thread_id: str) -> AnyConversation | None:
    """Return the viewer's conversation with this id, or with this id of the application."""
    id = as_uuid(thread_id)
    if id is not None and (conversation := await context.loaders.conversations.load(id)) is not None:
        return conversation
    external_id = check_external_id(thread_id)
    async with context.read() as session:
        return await conversations.by_external_id(session, context.viewer.user_id, external_id)


async def _last_turn(context: Context, thread: AnyConversation) -> tuple[MessageRow | None, MessageRow | None]:
    """Return the last message of the user on the active branch, and its answer."""
    leaf = await context.loaders.messages.load(thread.active_leaf_id) if thread.active_leaf_id else None
    if leaf is None or leaf.role is Role.USER:
        return leaf, None
    return (await context.loaders.messages.load(leaf.parent_id) if leaf.parent_id else None), leaf


async def _send(
    context: Context, input: RunAgentInput, thread: AnyConversation | None, new: Sequence[UserMessage], key: ID
) -> Run:
    known = {"context": [dict(item) for item in input.context or ()], "state": input.state}
    present = {name: value for name, value in known.items() if value not in ([], {}, None)}
    for name, value in present.items():
        check_context(name, JSON(value))
    assistant_id, model = _choice(input, "assistantId"), _choice(input, "model")
    tools = ConversationTools(client=_client_tools(input)) if input.tools else None
    if thread is None and input.instructions:
        new_thread = CreateConversation(
            system_prompt=input.instructions, tools=tools, external_id=input.thread_id, assistant_id=assistant_id
        )
        thread = (await create(context, new_thread)).conversation
    elif thread is not None:
        await _update(context, input, thread)
    message = SendMessage(
        "\n\n".join(text for one in new if (text := text_of(one.content))),
        conversation_id=ID(str(thread.id)) if thread is not None else None,
        attachment_ids=[id for one in new for id in await _attachments(context, input, one)] or None,
        options=GenerationOptions(model=model) if model is not None else None,
        idempotency_key=key,
        tools=tools if thread is None else None,
        context=JSON(present) if present else None,
        metadata=JSON({CLIENT_DATA: {"id": new[-1].id}}),
        external_id=input.thread_id if thread is None else None,
        assistant_id=assistant_id if thread is None else None,
    )
    payload = await send(context, message)
    return Run(payload.conversation, payload.generation, None if payload.replayed else 0, reported=UsageSum())


async def _update(context: Context, input: RunAgentInput, thread: AnyConversation) -> None:
    """Change the instructions and the client tools of the thread to those of the run."""
    update_input = UpdateConversation(ID(str(thread.id)))
    tools = _client_tools(input)
    stored: list[Json] = thread.tools.get("client") or []
    changed = {tool["name"]: tool for tool in stored} != {tool.name: vars(tool) for tool in tools}
    if changed or len(tools) != len(stored):
        update_input.tools = ConversationTools(thread.tools.get("server"), tools)
    if input.instructions and input.instructions != thread.system_prompt:
        update_input.system_prompt = input.instructions
    if update_input != UpdateConversation(update_input.id):
        await update(context, update_input)


def _client_tools(input: RunAgentInput) -> list[ClientTool]:
    return [
        ClientTool(tool.name, tool.description, JSON(tool.parameters or {"type": "object"}))
        for tool in input.tools or ()
    ]


def _choice(input: RunAgentInput, name: str) -> ID | None:
    value = input.forwarded_props.get(name) if is_object(input.forwarded_props) else None
    if value is not None and not isinstance(value, str):
        raise InvalidInput(f"forwardedProps.{name}", "must be a string.")
    return None if value is None else ID(value)


async def _attachments(context: Context, input: RunAgentInput, message: UserMessage) -> list[ID]:
    """Return the ids of a message's files, and store those that the request contains."""
    if isinstance(message.content, str):
        return []
    parts = [(number, part) for number, part in enumerate(message.content) if not isinstance(part, TextPart)]
    place = f"messages[{input.messages.index(message)}].content"
    return [id for number, part in parts for id in await _attachment(context, f"{place}[{number}]", part)]


async def _attachment(context: Context, field: str, part: MediaPart) -> list[ID]:
    source, url = part.source, part.source.value
    if part.type in ("audio", "video"):
        raise InvalidInput(f"{field}.type", "must be `text`, `image` or `document`: Claude reads no other files.")
    if isinstance(source, DataSource):
        url = f"data:{source.mime_type};base64,{url}"
    elif isinstance(source, FileSource):
        url = f"/attachments/{url}"
    return await attach(context, f"{field}.source.value", [InlineFile(url)])


async def _submit(
    context: Context, input: RunAgentInput, thread: AnyConversation | None, generation: AnyGeneration
) -> Run:
    """Submit the results for the calls that wait. Without any, follow the answer, which still waits."""
    answer = await context.loaders.messages.load(generation.message_id)
    async with context.read() as session:
        calls = await tool_calls.of_generation(session, generation.id)
    waiting = {id: call for id, call in calls.items() if call.status is CallStatus.WAITING}
    results = {place: result for id, call in waiting.items() for place, result in _result_of(input, id, call)}
    if not results or answer is None:
        return await follow_answer(context, thread, generation)
    try:
        await submit(context, SubmitToolResults(ID(str(generation.id)), [*results.values()]))
    except InvalidInput as error:
        raise _named(error, [*results]) from error
    is_partial = len(results) < len(waiting)
    return Run(
        thread,
        generation,
        # A partial submission leaves the answer waiting: the event that says so ends the run.
        generation.sequence - 1 if is_partial else generation.sequence,
        answer.content,
        frozenset(message.tool_call_id for message in input.messages if isinstance(message, ToolMessage)),
        usage(generation) or UsageSum(),
    )


def _result_of(input: RunAgentInput, id: str, call: ToolCall) -> list[tuple[str, ToolResult]]:
    """Return the result that the input has for a call, with its place in the input; an empty list if there is none."""
    if call.asks_first:
        for number, entry in enumerate(input.resume or ()):
            if entry.interrupt_id == id:
                approved, reason = _decision(f"resume[{number}].payload", entry.status, entry.payload)
                output = None if approved or not reason else JSON(reason)
                return [(f"resume[{number}]", ToolResult(ID(id), output, approved=approved))]
        return []
    for number, message in reversed([*enumerate(input.messages)]):
        if isinstance(message, ToolMessage) and message.tool_call_id == id:
            text = "\n".join(part for part in (text_of(message.content), message.error) if part)
            return [(f"messages[{number}]", ToolResult(ID(id), JSON(text), is_error=message.error is not None))]
    return []


def _decision(field: str, status: str, payload: Any) -> tuple[bool, str | None]:
    """Return whether the user approves a call, and the reason if not."""
    if status == "cancelled":
        return False, None
    approved = payload.get("approved") if is_object(payload) else None
    if not isinstance(approved, bool):
        raise InvalidInput(f"{field}.approved", "must be true or false.")
    reason = payload.get("reason")
    return approved, reason if isinstance(reason, str) else None


def _named(error: InvalidInput, places: Sequence[str]) -> InvalidInput:
    """Return the error of a result with the names of AG-UI."""
    match = re.fullmatch(r"results\[(\d+)\]\.(\w+)", error.field)
    if match is None:
        return error
    names = {"output": "content", "toolUseId": "toolCallId"}
    return InvalidInput(f"{places[int(match[1])]}.{names.get(match[2], match[2])}", error.predicate)
