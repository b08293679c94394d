"""The mutations that request and stop answers."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, TypeVar
from uuid import UUID

from strawberry.scalars import JSON

from tertulia.db import changes, conversations, generations, leases, messages
from tertulia.db.database import AsyncSession
from tertulia.db.inserting import insert
from tertulia.db.prompt_branches import BranchReader, with_branches
from tertulia.db.rows import AnyGeneration, GenerationRow
from tertulia.db.tables import ChangeKind, Conversation, Generation, Message, Status
from tertulia.generation.answer_lines import log_queued
from tertulia.generation.contribution import AssistantContribution, select_tools
from tertulia.generation.input import GenerationInput, generation_input
from tertulia.generation.state import Owner
from tertulia.ratelimit.errors import RateLimited
from tertulia.resolvers.app_data import check_context, check_external_id, merged
from tertulia.resolvers.arguments import GenerationId, argument
from tertulia.resolvers.assistants import answer_settings, check_allowed
from tertulia.resolvers.compaction import CompactConversation
from tertulia.resolvers.context import Context, Info, as_uuid
from tertulia.resolvers.errors import ConversationBusy, InvalidInput, NotFound
from tertulia.resolvers.idempotency import Input, fingerprint, store_key
from tertulia.resolvers.inputs import (
    MAX_TEXT,
    QUEUED,
    EditMessage,
    GenerationOptions,
    RegenerateMessage,
    SendMessage,
    WhenBusy,
    blank_error,
    check_text,
)
from tertulia.resolvers.limits import check_plan, check_running, reserve
from tertulia.resolvers.options import check_for_model, check_options
from tertulia.resolvers.send_hooks import HookedInput, run_hooks
from tertulia.resolvers.send_rows import insert_contribution, insert_messages, mark_running, new_rows
from tertulia.resolvers.tool_choice import check_named_tool
from tertulia.resolvers.tools import check_tools
from tertulia.resolvers.turns import Turn, turn_of_edit, turn_of_regeneration, turn_of_send
from tertulia.threads import offload

MAX_QUEUE = 10
"""The most messages that wait in one conversation."""
MAX_CONCURRENT_BRANCHES = 4
"""The most branches of one conversation that are answered at the same time."""
MAX_INTERRUPTS = MAX_QUEUE + MAX_CONCURRENT_BRANCHES
"""The most generations that a send stops before it gives up: all that one conversation can have."""

NewMessage = TypeVar("NewMessage", SendMessage, EditMessage)
LocateTurn = Callable[[AsyncSession, Context, Any, BranchReader], Awaitable[Turn]]


@dataclass(frozen=True, slots=True)
class SendMessagePayload:
    """The result of a send; `replayed` if it is the result of an earlier send with the same idempotency key."""

    conversation: Conversation
    user_message: Message
    generation: Generation
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class GenerationPayload:
    """The generation in its current state."""

    generation: AnyGeneration


async def send_message(
    info: Info, input: Annotated[SendMessage, argument("The message, its conversation, and how it should be answered.")]
) -> SendMessagePayload:
    """Store a message of the user and start Claude's answer.

    Returns before Claude answers: follow the generation with `generationEvents`. A repeated request with the same
    `idempotencyKey` returns the first result, and Claude is asked only once.

    - `InvalidInput`: The text is blank or too long, the context, the metadata, the `externalId`, an attachment, an
      option or a tool is not accepted, the assistant does not exist or does not let clients set a field, or the
      `idempotencyKey` is not a UUID or was used with other input.
    - `NotFound`: The conversation does not exist, or does not contain the parent message.
    - `ConversationBusy`: The branch is already being answered, or ten messages wait in the queue. See `whenBusy`.
    - `RateLimited`: The viewer has sent too many messages or has too many concurrent generations, or the server is
      shutting down.
    - `BudgetExceeded`: The viewer's monthly budget or daily tokens, or the budget of the server, is used up.
    - `SendRefused`: The application refused the message.
    """
    return await send(info.context, input)


async def edit_message(
    info: Info, input: Annotated[EditMessage, argument("The message, its new text, and how it should be answered.")]
) -> SendMessagePayload:
    """Store a new version of a user's message and start Claude's answer to it. Their branch becomes the active one.

    The old version is kept. A repeated request without an `idempotencyKey` creates another version.

    - `InvalidInput`: The message is not a user's message, the text is blank or too long, or the context, the
      metadata, an attachment, an option or the `idempotencyKey` is not accepted.
    - `NotFound`: The message does not exist.
    - `ConversationBusy`: An answer before the message is still being written, or four branches are being answered. See
      `whenBusy`.
    - `RateLimited`: The viewer has sent too many messages or has too many concurrent generations, or the server is
      shutting down.
    - `BudgetExceeded`: The viewer's monthly budget or daily tokens, or the budget of the server, is used up.
    - `SendRefused`: The application refused the message.
    """
    return await edit(info.context, input)


async def regenerate_message(
    info: Info, input: Annotated[RegenerateMessage, argument("The answer, and the options for its new version.")]
) -> SendMessagePayload:
    """Start another version of an answer. Its branch becomes the active one.

    The old answer is kept. A repeated request without an `idempotencyKey` creates another version.

    - `InvalidInput`: The message is not an answer, or an option or the `idempotencyKey` is not accepted.
    - `NotFound`: The message does not exist.
    - `ConversationBusy`: An answer before the message is still being written, or four branches are being answered. See
      `whenBusy`.
    - `RateLimited`: The viewer has sent too many messages or has too many concurrent generations, or the server is
      shutting down.
    - `BudgetExceeded`: The viewer's monthly budget or daily tokens, or the budget of the server, is used up.
    - `SendRefused`: Not returned, because nothing new is sent.
    """
    return await start(info.context, input, turn_of_regeneration)


async def send(context: Context, input: SendMessage) -> SendMessagePayload:
    """Store a message and start its answer, for `sendMessage` and REST; raise ExpectedError or RateLimited."""
    if input.external_id is not None:
        check_external_id(input.external_id)
    if input.conversation_metadata is not None:
        metadata = merged({}, "conversationMetadata", input.conversation_metadata)
        input = replace(input, conversation_metadata=JSON(metadata))
    return await start(context, _checked(input), turn_of_send)


async def edit(context: Context, input: EditMessage) -> SendMessagePayload:
    """Store a new version of a message and start its answer; raise ExpectedError or RateLimited."""
    return await start(context, _checked(input), turn_of_edit)


async def stop(context: Context, id: str) -> GenerationRow:
    """Stop one of the viewer's generations and return its final state; raise NotFound."""
    generation_id = as_uuid(id)
    if generation_id is None or await context.loaders.generations.load(generation_id) is None:
        raise NotFound(id, "generation")
    started = time.monotonic()
    await context.generation_manager.stop(generation_id)
    context.services.observer.on_stop(time.monotonic() - started)
    generation = await context.loaders.generations.load(generation_id)
    if generation is None:
        raise NotFound(id, "generation")
    return generation


async def start(context: Context, input: Input, locate_turn: LocateTurn) -> SendMessagePayload:
    """Check the input, store and commit the send, and only then start the generation."""
    if input.idempotency_key is not None and as_uuid(input.idempotency_key) is None:
        raise InvalidInput("idempotencyKey", "must be a UUID.")
    await check_options(context, input.options)
    if isinstance(input, SendMessage) and input.conversation_id is None:
        await check_tools(context, input.tools)
    if isinstance(input, EditMessage) or (isinstance(input, SendMessage) and input.attachment_ids):
        # Fetch the models before the transaction, which checks whether they support the attachments.
        await context.models.list()
    allowed = await _run_hooks(context, input, locate_turn)
    if isinstance(allowed, SendMessagePayload):
        return allowed
    try_send = partial(_try_send, context, input, allowed, locate_turn)
    for _ in range(MAX_INTERRUPTS):
        try:
            return await with_branches(context.database, try_send)
        except ConversationBusy as busy:
            waits_for_client = busy.generation.status is Status.AWAITING_TOOL_RESULTS and input.when_busy not in QUEUED
            if not waits_for_client and input.when_busy is not WhenBusy.INTERRUPT:
                raise
            await context.generation_manager.stop(busy.generation.id)
    return await with_branches(context.database, try_send)


async def _run_hooks(context: Context, input: Input, locate_turn: LocateTurn) -> HookedInput | SendMessagePayload:
    """Return the input that the hooks allow. For a repeated request, return the first result, and call no hook."""
    hooks = context.services.hooks
    if not ("before_send" in hooks or "retrieve" in hooks):
        return HookedInput(input)
    if isinstance(input, RegenerateMessage | CompactConversation):
        return HookedInput(input)

    async def find_turn(branches: BranchReader) -> Turn | SendMessagePayload:
        async with context.database.read() as session:
            replayed = await _replay(session, context.viewer.user_id, input, writes=False)
            # Hooks see only messages of conversations that the viewer has.
            return replayed or await locate_turn(session, context, input, branches)

    turn = await with_branches(context.database, find_turn)
    if isinstance(turn, SendMessagePayload):
        return turn
    check_allowed(context, turn.conversation, input.options, _field(input, turn))
    return await run_hooks(context, input, turn)


async def stop_generation(info: Info, id: GenerationId) -> GenerationPayload:
    """Stop a generation, on whichever replica it runs. The text written until then is kept.

    No content is sent after the mutation has returned. If the generation has already ended, its final state is
    returned.

    - `NotFound`: The generation does not exist.
    """
    return GenerationPayload(await stop(info.context, id))


@dataclass(frozen=True, slots=True)
class SendPlan:
    """The rows that a send will store, and the input of its generation."""

    turn: Turn
    answer: Message
    generation: Generation
    work: GenerationInput | None
    """The input of the generation; None if it is queued after another one (`waits_for`)."""
    contribution: AssistantContribution | None
    """The contribution of the conversation's assistant to the generation; None without an assistant."""

    @property
    def payload(self) -> SendMessagePayload:
        """The result of the send."""
        return SendMessagePayload(self.turn.conversation, self.turn.question, self.generation)


async def _try_send(
    context: Context, input: Input, allowed: HookedInput, locate_turn: LocateTurn, branches: BranchReader
) -> SendMessagePayload:
    """Plan, store and commit the send; then start the generation.

    Args:
        context: The context.
        input: The input from the client, which the idempotency key is bound to.
        allowed: The input that the hooks allow, and their documents.
        locate_turn: Returns the turn of an input.
        branches: Reads the branch of the turn.
    """
    if context.generation_manager.draining:
        raise RateLimited(1.0, "The server is shutting down. Retry the request.")
    viewer = context.viewer
    async with context.database.write() as session:
        await leases.lock_owner(session, viewer.user_id)
        replayed = await _replay(session, viewer.user_id, input, writes=True)
        if replayed is not None:
            return replayed
        turn = allowed.with_documents(await locate_turn(session, context, allowed.input, branches))
        plan = await _plan_send(session, context, allowed.input, turn, input.options)
        await _store_plan(session, context, input, plan)
    if plan.work is not None:
        context.generation_manager.start(
            plan.generation,
            plan.work,
            Owner(viewer.user_id, viewer.user_name, plan.turn.conversation.id, viewer.user_subject),
        )
    else:
        log_queued(plan.generation, viewer.user_id)
    context.changed()
    return plan.payload


async def _plan_send(
    session: AsyncSession,
    context: Context,
    input: Input,
    turn: Turn,
    client_options: GenerationOptions | None,
) -> SendPlan:
    """Read the other rows that the send depends on, and return its plan. Nothing is written.

    Args:
        session: The session to use.
        context: The context.
        input: The input that the hooks allow.
        turn: The turn of the input.
        client_options: The options that the client has set. Hooks may set options that clients must not.
    """
    owner, conversation = context.viewer.user_id, turn.conversation
    field = _field(input, turn)
    check_allowed(context, conversation, client_options, field)
    settings = answer_settings(context, conversation, turn.question, input.options, field)
    if isinstance(input, CompactConversation):
        settings = replace(settings, options=settings.options | input.generation_options)
    model, contribution = context.models.known(settings.model), settings.contribution
    check_for_model(settings.options, model)
    registry = context.services.tool_registry
    user_tools = await registry.user_tools(session, owner)
    tools = select_tools(registry, conversation, model, contribution, context.plan.allows_tool, user_tools)
    check_named_tool(input.options, tools)
    is_empty = conversation.active_leaf_id is None
    unfinished = {} if is_empty else await generations.unfinished(session, owner, [conversation.id])
    blocking = _blocking_generation(unfinished.get(conversation.id, []), turn, input.when_busy)
    check_plan(context, settings.model)
    await context.limits.check_send(owner)
    answer, generation = new_rows(turn, settings, context.plan.name)
    if blocking is not None:
        # The process that ends the blocking generation claims this one.
        generation.waits_for = blocking.id
        generation.steers = input.when_busy is WhenBusy.STEER
        return SendPlan(turn, answer, generation, None, contribution)
    await check_running(session, context)
    branch = turn.branch_with_question
    work = await offload(len(branch), lambda: generation_input(generation, conversation, branch, tools, contribution))
    mark_running(generation, context, work)
    return SendPlan(turn, answer, generation, work, contribution)


def _field(input: Input, turn: Turn) -> str:
    """Return the field of the input that names the conversation or its assistant, for errors."""
    if isinstance(input, CompactConversation):
        return "conversationId"
    if not isinstance(input, SendMessage):
        return "messageId"
    return "assistantId" if turn.new_conversation else "conversationId"


async def _store_plan(session: AsyncSession, context: Context, input: Input, plan: SendPlan) -> None:
    """Store the planned send in the caller's transaction."""
    owner, turn, generation = context.viewer.user_id, plan.turn, plan.generation
    conversation = turn.conversation
    await insert_messages(session, turn, plan.answer)
    if plan.work is not None:
        # Reserve as late as possible: until the commit, no other send can reserve from the server's budget.
        generation.reserved = await reserve(session, context, plan.work)
    if plan.contribution is not None:
        await insert_contribution(session, generation, plan.contribution)
    await insert(session, [generation])
    if input.idempotency_key is not None:
        await store_key(session, owner, input, generation.id)
    created = [(ChangeKind.CREATED, conversation.id, None)] if turn.new_conversation else []
    started = [(ChangeKind.GENERATION_STARTED, conversation.id, generation.id)] if plan.work is not None else []
    if created or started:
        await changes.record(session, owner, *created, *started)


def _blocking_generation(unfinished: Sequence[Generation], turn: Turn, when_busy: WhenBusy) -> Generation | None:
    """Return the generation to wait for, if any: the last one on the same branch, or the last one if too many run.

    Raises:
        ConversationBusy: The send must not wait, or the queue is full.
    """
    if not unfinished:
        return None
    branch = {entry.message.id for entry in turn.branch}
    queued = [generation for generation in unfinished if generation.status is Status.QUEUED]
    crowded = len(unfinished) - len(queued) >= MAX_CONCURRENT_BRANCHES
    # An interrupting send replaces the answers on all branches.
    any_branch = crowded or when_busy is WhenBusy.INTERRUPT
    blocking = [generation for generation in unfinished if any_branch or generation.message_id in branch]
    if not blocking:
        return None
    if when_busy not in QUEUED:
        raise ConversationBusy(blocking[0])
    if len(queued) >= MAX_QUEUE:
        raise ConversationBusy(blocking[0], f"The queue of the conversation is full: {MAX_QUEUE} messages are waiting.")
    return blocking[-1]


async def _replay(session: AsyncSession, owner: UUID, input: Input, *, writes: bool) -> SendMessagePayload | None:
    """Return the result of an earlier send with the same idempotency key; None if there was none."""
    if input.idempotency_key is None:
        return None
    key = await generations.by_key(session, owner, input.idempotency_key, writes=writes)
    if key is None:
        return None
    if key.fingerprint != fingerprint(input):
        raise InvalidInput("idempotencyKey", "was used with other input in the last 24 hours. Use a new UUID.")
    generation = (await generations.get_many(session, owner, [key.generation_id]))[key.generation_id]
    answer = (await messages.get_many(session, owner, [generation.message_id]))[generation.message_id]
    question_id = answer.parent_id or answer.id
    user_message = (await messages.get_many(session, owner, [question_id]))[question_id]
    conversation = await conversations.get(session, owner, generation.conversation_id)
    if conversation is None:
        raise NotFound(str(generation.conversation_id), "conversation")
    return SendMessagePayload(conversation, user_message, generation, replayed=True)


def _checked(input: NewMessage) -> NewMessage:
    """Return the input with its JSON as it can be stored; raise InvalidInput."""
    if not input.attachment_ids and not isinstance(input, EditMessage) and not input.text.strip():
        raise blank_error("text")
    check_text("text", input.text, MAX_TEXT)
    metadata = None if input.metadata is None else merged({}, "metadata", input.metadata)
    return replace(input, context=check_context("context", input.context), metadata=JSON(metadata))
