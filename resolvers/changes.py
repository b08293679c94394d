"""Changes to the viewer's conversations, for lists on several devices and tabs."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from strawberry import ID

from tertulia.db import changes as rows
from tertulia.db.rows import ConversationRow, GenerationRow
from tertulia.db.tables import ConversationChange
from tertulia.resolvers.arguments import ResumeChanges
from tertulia.resolvers.context import Context, Info
from tertulia.resolvers.errors import BadUserInput

POLL_SECONDS = 5.0
"""Seconds after which changes are read without a notification: one from another process may be lost."""


async def conversation_changes(info: Info, after: ResumeChanges = None) -> AsyncGenerator[ConversationChange]:
    """Subscribe to changes to the viewer's conversations, to keep lists on several devices and tabs up to date.

    Each change is sent once, in order. An invalid cursor, or one that is no longer stored, fails with the code
    BAD_USER_INPUT: load the list again, and subscribe without `after`.
    """
    context = info.context
    last_sequence = await _first_sequence(context, after)
    with context.services.subscriptions.slot():
        async with aclosing(_follow(context, last_sequence)) as changes:
            async for change in changes:
                yield change


async def _follow(context: Context, last_sequence: int) -> AsyncGenerator[ConversationChange]:
    while True:
        # Subscribe before reading, so that a change in between causes a notification.
        notification = context.notifier.subscribe(context.viewer.user_id)
        try:
            async with context.read() as session:
                new_changes = await rows.changes_after(session, context.viewer.user_id, last_sequence)
            for change in new_changes:
                last_sequence = change.sequence
                yield change
            if not new_changes:
                await asyncio.wait([notification], timeout=POLL_SECONDS)
        finally:
            context.notifier.unsubscribe(context.viewer.user_id, notification)


def cursor(root: ConversationChange) -> str:
    """The change's position, to be passed to `conversationChanges(after:)`. Valid for 24 hours."""
    return str(root.sequence)


def conversation_id(root: ConversationChange) -> ID:
    """The id of the conversation that changed."""
    return ID(str(root.conversation_id))


async def conversation(info: Info, root: ConversationChange) -> ConversationRow | None:
    """The conversation in its current state, which may include later changes. Null if it has been deleted."""
    return await info.context.loaders.conversations.load(root.conversation_id)


async def generation(info: Info, root: ConversationChange) -> GenerationRow | None:
    """The generation that has started, has ended, or waits for the client. Null for other changes, and once deleted."""
    generation_id = root.generation_id
    if generation_id is None:
        return None
    return await info.context.loaders.generations.load(generation_id)


async def _first_sequence(context: Context, after: str | None) -> int:
    """Return the sequence after which to begin; raise BadUserInput if changes after it may be missing."""
    async with context.read() as session:
        newest = await rows.newest(session, context.viewer.user_id)
        oldest = await rows.oldest_kept(session, context.viewer.user_id)
    if after is None:
        return newest
    valid = after.isascii() and after.isdecimal() and len(after) < 19 and int(after) <= newest  # noqa: PLR2004 - int64
    if not valid:
        raise BadUserInput("after", "must be a cursor of `conversationChanges`.")
    if int(after) + 1 < (oldest if oldest is not None else newest + 1):
        raise BadUserInput(
            "after", "is a cursor that is no longer stored. Load the list again, and subscribe without `after`."
        )
    return int(after)
