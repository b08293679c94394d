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
from tertulia.resolvers.context import Info, Viewer, as_uuid
from tertulia.resolvers.errors import BadUserInput

MAX_NODES = 100

AnyNode = Conversation | Message | Generation | Attachment


def viewer(info: Info) -> Viewer:
    """Who is asking: the user whose token came with the request, or the only one of a server in the mode `local`."""
    return info.context.viewer


async def usage(info: Info, since: Since = None, until: Until = None, model: OfModel = None) -> UsageSum:
    """What the viewer has used, in tokens and US dollars; also for what is deleted, and for titles."""
    async with info.context.read() as session:
        return await ledger.usage(session, info.context.viewer.user_id, Period(since, until, model))


async def usage_by_day(
    info: Info, since: Since = None, until: Until = None, model: OfModel = None
) -> Sequence[UsageOfDay]:
    """What the viewer has used on each day (in UTC) with each model, oldest day first; what used nothing is missing."""
    async with info.context.read() as session:
        return await ledger.usage_by_day(session, info.context.viewer.user_id, Period(since, until, model))


async def budget(info: Info) -> BudgetStatus | None:
    """How much of the month's budget is used; null where the server sets none."""
    async with info.context.read() as session:
        return await info.context.services.budget.standing(session, info.context.viewer.user_id)


async def limits(info: Info) -> list[Limit]:
    """How the viewer stands with each limit; what has none is missing."""
    context = info.context
    async with context.read() as session:
        running = await generations.count_running(session, context.viewer.user_id)
    return await context.services.limits.standing(context.viewer.user_id, running)


async def node(
    info: Info, id: Annotated[ID, argument("The id of a conversation, message, answer or attachment.")]
) -> AnyNode | None:
    """Any object of the viewer's by its id; null where there is none."""
    return await _find(info, as_uuid(id))


async def nodes(
    info: Info,
    ids: Annotated[list[ID], argument("At most 100 ids of any kinds; more fails with the code BAD_USER_INPUT.")],
) -> Sequence[AnyNode | None]:
    """Any objects of the viewer's by their ids, in that order; null for what there is not."""
    if len(ids) > MAX_NODES:
        raise BadUserInput("ids", f"takes at most {MAX_NODES} ids, not {len(ids)}.")
    return await asyncio.gather(*(_find(info, as_uuid(id)) for id in ids))


async def generation(info: Info, id: GenerationId) -> Generation | None:
    """The viewer's answer of that id; null where there is none."""
    generation_id = as_uuid(id)
    return await info.context.loaders.generations.load(generation_id) if generation_id else None


async def models(info: Info) -> list[Model]:
    """The Claude models that this server may use, the default one first, and marked."""
    return await info.context.models.list()


def thinking(root: Model) -> list[str] | None:
    """The forms of thinking that it takes, in the Messages API's words; null where that is not known."""
    return None if root.thinking is None else sorted(root.thinking)


def efforts(root: Model) -> list[str] | None:
    """The efforts that it takes, in the Messages API's words; null where that is not known."""
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
