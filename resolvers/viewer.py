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
from tertulia.db.rows import ConversationRow, GenerationRow, MessageRow
from tertulia.db.tables import Attachment, now
from tertulia.ratelimit.limits import Limit
from tertulia.ratelimit.plans import Plan
from tertulia.resolvers.arguments import GenerationId, OfModel, Since, Until, argument
from tertulia.resolvers.context import Info, as_uuid
from tertulia.resolvers.errors import BadUserInput
from tertulia.viewer import Viewer

MAX_NODES = 100
DAY_SECONDS = 86_400
MAX_INT = 2**31 - 1
"""The largest `Int` of GraphQL."""

AnyNode = ConversationRow | MessageRow | GenerationRow | Attachment


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
    """The viewer's monthly budget. Null if neither the viewer's plan nor the server sets one."""
    async with info.context.read() as session:
        return await info.context.services.budget.status(session, info.context.viewer.user_id, info.context.plan)


async def limits(info: Info) -> list[Limit]:
    """The viewer's limits, and the amount that remains of each: those of the viewer's plan or, without one, of the
    server. Limits that are not set are omitted.
    """
    context = info.context
    owner, budget = context.viewer.user_id, context.services.budget
    async with context.read() as session:
        running = await generations.count_running(session, owner)
        tokens = await budget.token_status(session, owner, context.plan)
    limits = await context.limits.status(owner, running)
    if tokens is None:
        return limits
    resets_in = (tokens.resets_at - now()).total_seconds() if tokens.remaining < tokens.limit else 0.0
    maximum, remaining = min(tokens.limit, MAX_INT), min(tokens.remaining, MAX_INT)
    return [*limits, Limit("tokens", maximum, remaining, DAY_SECONDS, max(resets_in, 0.0))]


def plan(info: Info) -> Plan | None:
    """The viewer's plan. Null on a server without plans."""
    return info.context.plan if info.context.services.plans.names else None


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


async def generation(info: Info, id: GenerationId) -> GenerationRow | None:
    """The viewer's generation with this id. Null if it does not exist."""
    generation_id = as_uuid(id)
    return await info.context.loaders.generations.load(generation_id) if generation_id else None


async def models(info: Info) -> list[Model]:
    """The Claude models that the viewer may use, the default model first."""
    return await info.context.models.list()


def thinking(root: Model) -> list[str] | None:
    """The forms of thinking that the model supports, as named by the Messages API. Null if they are not known."""
    return None if root.thinking is None else sorted(root.thinking)


def efforts(root: Model) -> list[str] | None:
    """The effort levels that the model supports, as named by the Messages API. Null if they are not known."""
    return None if root.efforts is None else sorted(root.efforts)


def server_tools(root: Model) -> list[str]:
    """Those of Claude's own tools that the model's provider runs: `web_search`, `web_fetch` and `code_execution`.

    Others are left out of requests to the model.
    """
    return sorted(root.server_tools)


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
