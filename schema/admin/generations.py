"""The GraphQL types of answers, as operators see them."""

from datetime import datetime
from typing import Annotated

import strawberry

from tertulia.db import paging, tables
from tertulia.resolvers.admin import generations
from tertulia.schema.admin.users import AdminUser
from tertulia.schema.declare import graphql_type
from tertulia.schema.errors import Forbidden, NotFound
from tertulia.schema.models import GenerationError, Usage
from tertulia.schema.relay import PageInfo


@graphql_type(generations.AdminAnswer)
class AdminGeneration:
    """An answer of any user, as operators see it: without its content."""

    id: strawberry.ID
    """The id of the generation. Operators cannot follow it, and `Query.generation` does not find it for them."""
    user: AdminUser
    """The user who is answered."""
    conversation_id: strawberry.ID
    """The id of the conversation that it belongs to."""
    assistant_id: strawberry.ID | None
    """The id of the assistant that answers. Null for none."""
    model_id: str
    """The id of the model that writes it."""
    status: tables.Status
    """How far it is."""
    error: GenerationError | None
    """Why it failed. Null if it has not failed."""
    usage: Usage | None
    """The tokens and their cost. Null until it ends."""
    created_at: datetime
    """When it was requested, in UTC."""
    started_at: datetime | None
    """When it was started, in UTC. Null while it is queued."""
    finished_at: datetime | None
    """When it ended, in UTC. Null until then."""


@graphql_type(paging.Edge)
class AdminGenerationEdge:
    """An answer in a list."""

    cursor: str
    """The position of the answer in the list, for `after` and `before`."""
    node: AdminGeneration
    """The answer."""


@graphql_type(paging.Connection)
class AdminGenerationConnection:
    """A page of answers."""

    edges: list[AdminGenerationEdge]
    """The answers, newest first."""
    page_info: PageInfo
    """The position of the page in the list."""


@graphql_type(generations.AdminGenerationPayload)
class AdminGenerationPayload:
    """An answer that was stopped."""

    generation: AdminGeneration
    """The answer in its current state."""


AdminStopGenerationResult = Annotated[
    AdminGenerationPayload | NotFound | Forbidden,
    strawberry.union("AdminStopGenerationResult", description="The stopped answer, or the error."),
]
