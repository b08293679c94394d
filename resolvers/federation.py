"""The fields with which a router of a federated graph reads the schema and entities."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from tertulia.db import conversations as rows
from tertulia.db.tables import Conversation
from tertulia.resolvers.app_data import check_external_id
from tertulia.resolvers.arguments import argument
from tertulia.resolvers.context import Info
from tertulia.resolvers.errors import BadUserInput
from tertulia.resolvers.viewer import MAX_NODES, AnyNode
from tertulia.viewer import Viewer

Entity = AnyNode | Conversation | Viewer


@dataclass(frozen=True, slots=True)
class Representation:
    """The type and the key of an entity.

    Attributes:
        type: The name of the entity's type.
        id: The id; None if it has another form than all ids, or the key is another field.
        external_id: The id of the application, if that is the key.
    """

    type: str
    id: UUID | None
    external_id: str | None = None


async def entities(
    info: Info,
    representations: Annotated[
        list[Representation], argument("At most 100 representations. More fail with the code BAD_USER_INPUT.")
    ],
) -> Sequence[Entity | None]:
    """The viewer's entities with these keys, in the same order, for the router of a federated graph.

    An item is null if its object does not exist.
    """
    if len(representations) > MAX_NODES:
        raise BadUserInput("representations", f"must have at most {MAX_NODES} items, not {len(representations)}.")
    external_ids = {check_external_id(item.external_id) for item in representations if item.external_id is not None}
    named: dict[str, Conversation] = {}
    if external_ids:
        async with info.context.read() as session:
            named = await rows.by_external_ids(session, info.context.viewer.user_id, external_ids)
    return await asyncio.gather(*(_load(info, item, named) for item in representations))


async def _load(info: Info, item: Representation, named: dict[str, Conversation]) -> Entity | None:
    if item.external_id is not None:
        return named.get(check_external_id(item.external_id))
    if item.id is None:
        return None
    context = info.context
    match item.type:
        case "Viewer":
            return context.viewer if context.viewer.user_id == item.id else None
        case "Conversation":
            entity: Entity | None = await context.loaders.conversations.load(item.id)
        case "Message":
            entity = await context.loaders.messages.load(item.id)
        case "Generation":
            entity = await context.loaders.generations.load(item.id)
        case _:
            entity = await context.loaders.attachments.load(item.id)
    return entity
