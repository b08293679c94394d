"""The viewer, nodes of any type, and models."""

import asyncio
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from strawberry import ID

from tertulia.billing.budget import BudgetStatus
from tertulia.claude.models import Model
from tertulia.db import generations, ledger
from tertulia.db.ledger import Period, UsageOfDay, UsageSum
from tertulia.db.tables import Attachment, Conversation, Generation, Message
from tertulia.ratelimit.limits import Limit
from tertulia.resolvers.arguments import GenerationId, OfModel, Since, Until, argument
from tertulia.resolvers.context import Info, as_uuid
from tertulia.resolvers.errors import BadUserInput
from tertulia.viewer import Viewer

MAX_NODES = 100

AnyNode = Conversation | Message | Generation | Attachment


def viewer(info: Info) -> Viewer:
    """The authenticated user. On a server in the mode `local`, its only user."""
    return info.context.viewer


async def usage(info: Info, since: Since = None, until: Until = None, model: OfModel = None) -> UsageSum:
    """The viewer's usage in tokens and US dollars, including deleted conversations and generated titles."""
    async with info.context.read() as session:
        return await ledger.usage(session, info.context.viewer.user_id, Period(since, until, model))


async def usage_by_day(
    info: Info, since: Since = None, until: Until = None, model: OfModel = None
) -> Sequence[UsageOfDay]:
    """The viewer's usage by day (in UTC) and model, oldest day first. Days and models without usage are omitted."""
    async with info.context.read() as session:
        return await ledger.usage_by_day(session, info.context.viewer.user_id, Period(since, until, model))


async def budget(info: Info) -> BudgetStatus | None:
    """The viewer's monthly budget. Null if the server sets none."""
    async with info.context.read() as session:
        return await info.context.services.budget.status(session, info.context.viewer.user_id)


async def limits(info: Info) -> list[Limit]:
    """The viewer's limits, and the amount that remains of each. Limits that the server does not set are omitted."""
    context = info.context
    async with context.read() as session:
        running = await generations.count_running(session, context.viewer.user_id)
    return await context.services.limits.status(context.viewer.user_id, running)


async def node(
    info: Info, id: Annotated[ID, argument("The id of a conversation, message, generation or attachment.")]
) -> AnyNode | None:
    """The viewer's object with this id, of any type. Null if it does not exist."""
    return await _find(info, as_uuid(id))


async def nodes(
    info: Info,
    ids: Annotated[list[ID], argument("At most 100 ids of any types. More fail with the code BAD_USER_INPUT.")],
) -> Sequence[AnyNode | None]:
    """The viewer's objects with these ids, in the same order. An item is null if its object does not exist."""
    if len(ids) > MAX_NODES:
        raise BadUserInput("ids", f"must have at most {MAX_NODES} items, not {len(ids)}.")
    return await asyncio.gather(*(_find(info, as_uuid(id)) for id in ids))


async def generation(info: Info, id: GenerationId) -> Generation | None:
    """The viewer's generation with this id. Null if it does not exist."""
    generation_id = as_uuid(id)
    return await info.context.loaders.generations.load(generation_id) if generation_id else None


async def models(info: Info) -> list[Model]:
    """The Claude models that this server may use, the default model first."""
    return await info.context.models.list()


def thinking(root: Model) -> list[str] | None:
    """The forms of thinking that the model supports, as named by the Messages API. Null if they are not known."""
    return None if root.thinking is None else sorted(root.thinking)


def efforts(root: Model) -> list[str] | None:
    """The effort levels that the model supports, as named by the Messages API. Null if they are not known."""
    return None if root.efforts is None else sorted(root.efforts)


async def _find(info: Info, id: UUID | None) -> AnyNode | None:
    # Ids are UUIDs and unique across all types, so at most one of these loads a row.
    if id is None:
        return None
    context = info.context
    return (
        await context.loaders.conversations.load(id)
        or await context.loaders.messages.load(id)
        or await context.loaders.generations.load(id)
        or await context.loaders.attachments.load(id)
    )
