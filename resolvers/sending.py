"""sendMessage and stopGeneration: the one transaction behind a send, and the end of an answer."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from strawberry import ID
from uuid_utils.compat import uuid7

from db import changes, conversations, generations, leases, messages
from db.database import AsyncSession
from db.tables import ChangeKind, Conversation, Generation, IdempotencyKey, Json, Message, Role
from resolvers.context import Context, Info, as_uuid
from resolvers.conversations import check_model
from resolvers.errors import ConversationBusy, InvalidInput, NotFound, RateLimited
from resolvers.inputs import GenerationOptions, SendMessage, WhenBusy, check_message

MAX_QUEUE = 10
MAX_INTERRUPTS = 10
MIN_BUDGET_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class SendMessagePayload:
    """What a send gives back at once; `replayed` when an idempotency key gave an earlier result back."""

    conversation: Conversation
    user_message: Message
    generation: Generation
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class GenerationPayload:
    """The generation as it is now."""

    generation: Generation


async def send_message(info: Info, input: SendMessage) -> SendMessagePayload:
    """Stores the user's message, starts Claude's answer and returns at once; follow `generationEvents`."""
    return await send(info.context, input)


async def send(context: Context, input: SendMessage) -> SendMessagePayload:
    """Check, store, commit, and only then start."""
    await _check(context, input)
    for _ in range(MAX_INTERRUPTS):
        try:
            return await _send_once(context, input)
        except ConversationBusy as busy:
            if input.when_busy is not WhenBusy.INTERRUPT:
                raise
            await context.generator.stop(busy.generation.id)
    return await _send_once(context, input)


async def stop_generation(info: Info, id: ID) -> GenerationPayload:
    """Stops an answer wherever it runs; what was written so far is kept. Stopping twice is no error."""
    wanted = as_uuid(id)
    if wanted is None or await info.context.generations.load(wanted) is None:
        raise NotFound(id, "generation")
    await info.context.generator.stop(wanted)
    stopped = await info.context.generations.load(wanted)
    if stopped is None:
        raise NotFound(id, "generation")
    return GenerationPayload(stopped)


async def _send_once(context: Context, input: SendMessage) -> SendMessagePayload:
    if context.generator.draining:
        raise RateLimited(1.0, "This server is about to stop; send again.")
    async with context.database.write() as session:
        await leases.lock_owner(session, context.viewer.id)
        payload = await _store(session, context, input, uuid7())
    if not payload.replayed:
        if payload.generation.holder is not None:
            context.generator.start(payload.generation.id)
        context.changed()
    return payload


async def _store(
    session: AsyncSession, context: Context, input: SendMessage, generation_id: UUID
) -> SendMessagePayload:
    owner = context.viewer.id
    if input.idempotency_key is not None:
        earlier = await generations.by_key(session, owner, input.idempotency_key)
        if earlier is not None:
            return await _replay(session, owner, earlier, input)
    conversation = await _conversation(session, context, input)
    in_front = (await generations.unfinished(session, owner, [conversation.id])).get(conversation.id, [])
    _check_busy(in_front, input.when_busy)
    parent = await _parent(session, owner, conversation, input)
    payload = _rows(conversation, parent, input, generation_id)
    if not in_front:
        # Who waits in line is claimed by whoever ends the answer in front of it.
        payload.generation.holder = context.generator.holder
        payload.generation.lease_until = context.generator.lease_end()
    session.add(payload.user_message)
    await session.flush()
    answer = _answer_to(payload)
    session.add(answer)
    await session.flush()
    session.add(payload.generation)
    await session.flush()
    if input.idempotency_key is not None:
        key, mark = str(input.idempotency_key), _fingerprint(input)
        session.add(IdempotencyKey(owner_id=owner, key=key, fingerprint=mark, generation_id=generation_id))
    conversation.active_leaf_id = answer.id
    conversation.updated_at = payload.user_message.created_at
    return payload


async def _replay(session: AsyncSession, owner: UUID, key: IdempotencyKey, input: SendMessage) -> SendMessagePayload:
    if key.fingerprint != _fingerprint(input):
        raise InvalidInput("idempotencyKey", "was used for another send within 24 hours.")
    generation = (await generations.get_many(session, owner, [key.generation_id]))[key.generation_id]
    answer = (await messages.get_many(session, owner, [generation.message_id]))[generation.message_id]
    asked = answer.parent_id or answer.id
    user_message = (await messages.get_many(session, owner, [asked]))[asked]
    conversation = await conversations.get(session, owner, generation.conversation_id)
    if conversation is None:
        raise NotFound(str(generation.conversation_id), "conversation")
    return SendMessagePayload(conversation, user_message, generation, replayed=True)


async def _conversation(session: AsyncSession, context: Context, input: SendMessage) -> Conversation:
    if input.conversation_id is None:
        model = (input.options and input.options.model) or context.models.default_id
        made = Conversation(owner_id=context.viewer.id, model=model)
        session.add(made)
        await session.flush()
        await changes.record(session, context.viewer.id, ChangeKind.CREATED, made.id)
        return made
    wanted = as_uuid(input.conversation_id)
    found = await conversations.get(session, context.viewer.id, wanted) if wanted else None
    if found is None:
        raise NotFound(input.conversation_id, "conversation")
    return found


async def _parent(session: AsyncSession, owner: UUID, conversation: Conversation, input: SendMessage) -> Message | None:
    wanted = conversation.active_leaf_id if input.parent_id is None else as_uuid(input.parent_id)
    found = (await messages.get_many(session, owner, [wanted])).get(wanted) if wanted else None
    if input.parent_id is not None and (found is None or found.conversation_id != conversation.id):
        raise NotFound(input.parent_id, "message of this conversation")
    return found


def _rows(
    conversation: Conversation, parent: Message | None, input: SendMessage, generation_id: UUID
) -> SendMessagePayload:
    user_message = Message(
        conversation_id=conversation.id,
        parent_id=parent.id if parent else None,
        role=Role.USER,
        depth=parent.depth + 1 if parent else 0,
        content=[{"type": "text", "text": input.text}],
    )
    generation = Generation(
        id=generation_id,
        conversation_id=conversation.id,
        message_id=uuid7(),
        model=(input.options and input.options.model) or conversation.model,
        options=_options(input.options),
    )
    return SendMessagePayload(conversation, user_message, generation)


def _answer_to(payload: SendMessagePayload) -> Message:
    question = payload.user_message
    return Message(
        id=payload.generation.message_id,
        conversation_id=question.conversation_id,
        parent_id=question.id,
        role=Role.ASSISTANT,
        depth=question.depth + 1,
    )


def _check_busy(in_front: Sequence[Generation], when_busy: WhenBusy) -> None:
    if not in_front:
        return
    if when_busy is not WhenBusy.QUEUE:
        raise ConversationBusy(in_front[0])
    if len(in_front) > MAX_QUEUE:
        raise ConversationBusy(in_front[0], f"{MAX_QUEUE} messages are waiting in this conversation already.")


async def _check(context: Context, input: SendMessage) -> None:
    check_message("text", input.text)
    if input.attachment_ids:
        raise InvalidInput("attachmentIds", f"there is no attachment {input.attachment_ids[0]!r}.")
    if input.idempotency_key is not None and as_uuid(input.idempotency_key) is None:
        raise InvalidInput("idempotencyKey", "must be a UUID.")
    if input.options is not None:
        await _check_options(context, input.options)


async def _check_options(context: Context, options: GenerationOptions) -> None:
    if options.model is not None:
        await check_model(context, "options.model", options.model)
    if options.max_tokens is not None:
        model = await context.models.get(options.model or context.models.default_id)
        most = model.max_output_tokens
        if options.max_tokens < 1 or (most is not None and options.max_tokens > most):
            raise InvalidInput("options.maxTokens", f"takes 1 to {most or 'what the model takes'}.")
    if options.thinking is not None and options.thinking.budget_tokens is not None:
        budget = options.thinking.budget_tokens
        if not options.thinking.enabled:
            raise InvalidInput("options.thinking.budgetTokens", "makes no sense where thinking is not enabled.")
        if budget < MIN_BUDGET_TOKENS or budget >= (options.max_tokens or budget + 1):
            field = "options.thinking.budgetTokens"
            raise InvalidInput(field, f"takes {MIN_BUDGET_TOKENS} or more, and less than maxTokens.")


def _options(options: GenerationOptions | None) -> Json:
    if options is None:
        return {}
    given = {"max_tokens": options.max_tokens, "effort": options.effort}
    thinking = {"thinking": asdict(options.thinking)} if options.thinking else {}
    return {key: value for key, value in given.items() if value is not None} | thinking


def _fingerprint(input: SendMessage) -> str:
    values: dict[str, Any] = {key: value for key, value in asdict(input).items() if key != "idempotency_key"}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
