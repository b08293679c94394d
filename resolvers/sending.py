"""sendMessage and stopGeneration: the one transaction behind a send, and the end of an answer."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from strawberry import ID

from claude.work import Work, work_of
from db import changes, conversations, generations, leases, messages
from db.database import AsyncSession
from db.inserting import insert
from db.tables import ChangeKind, Conversation, Generation, IdempotencyKey, Json, Message, Role, Status, now
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
    if wanted is None or await info.context.loaders.generations.load(wanted) is None:
        raise NotFound(id, "generation")
    await info.context.generator.stop(wanted)
    stopped = await info.context.loaders.generations.load(wanted)
    if stopped is None:
        raise NotFound(id, "generation")
    return GenerationPayload(stopped)


async def _send_once(context: Context, input: SendMessage) -> SendMessagePayload:
    if context.generator.draining:
        raise RateLimited(1.0, "This server is about to stop; send again.")
    async with context.database.write() as session:
        await leases.lock_owner(session, context.viewer.id)
        payload, work = await _store(session, context, input)
    if work is not None:
        context.generator.start(payload.generation.id, work)
    if not payload.replayed:
        context.changed()
    return payload


async def _store(session: AsyncSession, context: Context, input: SendMessage) -> tuple[SendMessagePayload, Work | None]:
    """Store all of a send; give what is to be asked of Claude, where nothing stands in front of it."""
    owner = context.viewer.id
    if input.idempotency_key is not None:
        earlier = await generations.by_key(session, owner, input.idempotency_key)
        if earlier is not None:
            return await _replay(session, owner, earlier, input), None
    conversation = await _conversation(session, context, input)
    begun = conversation.active_leaf_id is not None
    in_front = (await generations.unfinished(session, owner, [conversation.id])).get(conversation.id) if begun else None
    _check_busy(in_front or [], input.when_busy)
    branch = await _branch(session, conversation, input)
    payload, answer = _rows(conversation, branch[-1][0] if branch else None, input)
    work = None
    if not in_front:
        # Who waits in line is claimed by whoever ends the answer in front of it.
        work = work_of(payload.generation, conversation, [*branch, (payload.user_message, None)])
        _begin(payload.generation, context, work)
    await _insert(session, payload, answer, input)
    created = [] if input.conversation_id else [(ChangeKind.CREATED, conversation.id, None)]
    started = [(ChangeKind.GENERATION_STARTED, conversation.id, payload.generation.id)] if work else []
    if created or started:
        await changes.record(session, owner, *created, *started)
    return payload, work


def _begin(generation: Generation, context: Context, work: Work) -> None:
    generation.status = Status.RUNNING
    generation.started_at = now()
    generation.prefix = work.prefix
    generation.holder = context.generator.holder
    generation.lease_until = context.generator.lease_end()


async def _insert(session: AsyncSession, payload: SendMessagePayload, answer: Message, input: SendMessage) -> None:
    conversation, moment = payload.conversation, payload.user_message.created_at
    conversation.active_leaf_id, conversation.updated_at = answer.id, moment
    if input.conversation_id is None:
        await insert(session, [conversation])
    await insert(session, [payload.user_message, answer])
    await insert(session, [payload.generation])
    if input.idempotency_key is not None:
        key, mark = str(input.idempotency_key), _fingerprint(input)
        made = IdempotencyKey(
            owner_id=conversation.owner_id, key=key, fingerprint=mark, generation_id=payload.generation.id
        )
        await insert(session, [made])


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
    """Give the conversation that is sent to: a new one is made, and stored with the rest."""
    if input.conversation_id is None:
        model = (input.options and input.options.model) or context.models.default_id
        return Conversation(owner_id=context.viewer.id, model=model)
    wanted = as_uuid(input.conversation_id)
    found = await conversations.get(session, context.viewer.id, wanted) if wanted else None
    if found is None:
        raise NotFound(input.conversation_id, "conversation")
    return found


async def _branch(
    session: AsyncSession, conversation: Conversation, input: SendMessage
) -> Sequence[tuple[Message, str | None]]:
    """Give the branch that the message goes on, which ends in its parent."""
    wanted = conversation.active_leaf_id if input.parent_id is None else as_uuid(input.parent_id)
    branch = await messages.branch(session, wanted)
    if input.parent_id is not None and (not branch or branch[-1][0].conversation_id != conversation.id):
        raise NotFound(input.parent_id, "message of this conversation")
    return branch


def _rows(conversation: Conversation, parent: Message | None, input: SendMessage) -> tuple[SendMessagePayload, Message]:
    user_message = Message(
        conversation_id=conversation.id,
        parent_id=parent.id if parent else None,
        role=Role.USER,
        depth=parent.depth + 1 if parent else 0,
        content=[{"type": "text", "text": input.text}],
    )
    answer = Message(
        conversation_id=conversation.id,
        parent_id=user_message.id,
        role=Role.ASSISTANT,
        depth=user_message.depth + 1,
    )
    generation = Generation(
        conversation_id=conversation.id,
        message_id=answer.id,
        model=(input.options and input.options.model) or conversation.model,
        options=_options(input.options),
    )
    return SendMessagePayload(conversation, user_message, generation), answer


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
