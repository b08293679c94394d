"""The GraphQL type of assistants."""

import strawberry

from tertulia.assistants import definition
from tertulia.resolvers import assistants
from tertulia.schema.declare import field, graphql_type
from tertulia.schema.models import Model


@graphql_type(definition.Assistant)
class Assistant:
    """A configuration of conversations by the owner of the server: instructions, a model and tools.

    Clients cannot read the instructions.
    """

    id: strawberry.ID
    """The id of the assistant, which is the name of its file."""
    name: str
    """The name of the assistant, at most 100 characters."""
    description: str | None
    """A description for users, at most 1,000 characters. Null for none."""
    starters: list[str]
    """Suggestions for the first message, at most 20."""
    is_default: bool = field(assistants.is_default)
    model: Model = field(assistants.model)
    models: list[Model] = field(assistants.models)
    tools: list[str]
    """The names of the tools of this server that Claude may call, or patterns such as `github__*`."""
    memory: bool
    """Whether Claude can keep files about the viewer between conversations: see `Viewer.memories`."""
    clients_may_set: list[definition.ClientSetting] = field(assistants.clients_may_set)
