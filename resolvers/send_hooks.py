"""The application's hooks on a send. They run before the transaction that stores it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from strawberry.scalars import JSON

from tertulia.hooks import HookFailed, Refusal, Send
from tertulia.json import Json
from tertulia.resolvers.app_data import check_context, stored_context
from tertulia.resolvers.attachments import attachment_ids
from tertulia.resolvers.context import Context
from tertulia.resolvers.errors import InvalidInput, SendRefused
from tertulia.resolvers.idempotency import Input
from tertulia.resolvers.inputs import (
    MAX_TEXT,
    EditMessage,
    Effort,
    GenerationOptions,
    SendMessage,
    blank_error,
    check_text,
)
from tertulia.resolvers.options import check_for_model, check_options, options_to_json
from tertulia.resolvers.turns import Turn
from tertulia.tools.documents import search_result

HOOK_FAILED = "HOOK_FAILED"
NOT_RETRIEVED = "The message was not sent, because its sources could not be searched. Try again later."
NOT_CHECKED = "The message could not be checked, so it was not sent. Try again later."


@dataclass(frozen=True, slots=True)
class HookedInput:
    """The input that the hooks allow, and the blocks of the documents that they found for the answer."""

    input: Input
    documents: Sequence[Json] = ()

    def with_documents(self, turn: Turn) -> Turn:
        """Put the documents into the user's message of a turn, after its attachments and before its text."""
        if self.documents:
            attached = len(turn.attached.blocks)
            content = turn.question.content
            turn.question.content = [*content[:attached], *self.documents, *content[attached:]]
        return turn


async def run_hooks(context: Context, input: SendMessage | EditMessage, turn: Turn) -> HookedInput:
    """Return the input that the hook `before_send` allows, with the documents of `retrieve`; raise SendRefused."""
    allowed = await _run_before_send(context, input, turn)
    try:
        documents = await context.services.hooks.retrieve(_send_of(context, allowed, turn))
    except HookFailed as error:
        raise SendRefused(NOT_RETRIEVED, HOOK_FAILED) from error
    return HookedInput(allowed, [search_result(document) for document in documents])


async def _run_before_send(context: Context, input: SendMessage | EditMessage, turn: Turn) -> SendMessage | EditMessage:
    """Return the input that the hook `before_send` allows, which it may have changed; raise SendRefused."""
    send = _send_of(context, input, turn)
    try:
        result = await context.services.hooks.before_send(send)
        if isinstance(result, Refusal):
            raise SendRefused(result.message, result.code)
        try:
            return await _changed(context, input, turn, send, result)
        except InvalidInput as error:
            context.services.hooks.reject_result("before_send", error)
            return input
    except HookFailed as error:
        raise SendRefused(NOT_CHECKED, HOOK_FAILED) from error


def _send_of(context: Context, input: SendMessage | EditMessage, turn: Turn) -> Send:
    options = input.options or GenerationOptions()
    return Send(
        context.viewer,
        input.text,
        None if turn.new_conversation else turn.conversation.id,
        tuple(UUID(id) for id in attachment_ids(turn.question.content)),
        options.model,
        options.max_tokens,
        None if options.effort is None else options.effort.value,
        # An edit without a context keeps that of the message.
        turn.question.context if input.context is None else stored_context(input.context),
    )


async def _changed(
    context: Context, input: SendMessage | EditMessage, turn: Turn, before: Send, after: Send
) -> SendMessage | EditMessage:
    """Return the input with the changes of the hook; raise InvalidInput for values that no client could send."""
    if after.text != before.text:
        check_text("text", after.text, MAX_TEXT)
        if not after.text.strip() and not before.attachment_ids:
            raise blank_error("text")
        input = replace(input, text=after.text)
    if after.context != before.context:
        # None would keep the context of an edited message.
        kept: Any = {} if after.context is None else check_context("context", after.context)
        input = replace(input, context=JSON(kept))
    if replace(after, text=before.text, context=before.context) != before:
        effort = None if after.effort is None else _effort(after.effort)
        options = replace(
            input.options or GenerationOptions(), model=after.model, max_tokens=after.max_tokens, effort=effort
        )
        await check_options(context, options)
        model = context.models.known(options.model or turn.conversation.model)
        check_for_model(turn.conversation.options | options_to_json(options), model)
        input = replace(input, options=options)
    return input


def _effort(value: str) -> Effort:
    try:
        return Effort(value)
    except ValueError:
        raise InvalidInput("options.effort", f"must be one of {', '.join(Effort)}, not {value!r}.") from None
