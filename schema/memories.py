"""The GraphQL types of memories."""

from datetime import datetime

import strawberry

from tertulia.db import memories as rows
from tertulia.db import paging
from tertulia.resolvers import memories
from tertulia.schema.assistants import Assistant
from tertulia.schema.declare import field, graphql_type
from tertulia.schema.relay import PageInfo


def _assistant_id(root: rows.Memory) -> str:
    """The id of the assistant that writes and reads the memory."""
    return root.assistant


@graphql_type(rows.Memory)
class Memory:
    """A file that an assistant keeps about the viewer between conversations."""

    id: strawberry.ID
    """The id, for `updateMemory` and `deleteMemory`. `Query.node` does not accept it."""
    assistant_id: strawberry.ID = field(_assistant_id)
    assistant: Assistant | None = field(memories.assistant_of)
    path: str
    """The name that the assistant gave it, such as `/memories/preferences.md`."""
    content: str
    """The text of the file, at most 65,536 bytes in UTF-8."""
    size_bytes: int
    """The size of the content in bytes."""
    created_at: datetime
    """When the assistant created the file, in UTC."""
    updated_at: datetime
    """When the assistant or the viewer last changed it, in UTC."""


@graphql_type(paging.Edge)
class MemoryEdge:
    """A memory in a list."""

    cursor: str
    """The position of the memory in the list, for `after` and `before`."""
    node: Memory
    """The memory."""


@graphql_type(paging.Connection)
class MemoryConnection:
    """A page of memories."""

    edges: list[MemoryEdge]
    """The memories, newest first."""
    page_info: PageInfo
    """The position of the page in the list."""


@graphql_type(memories.MemoryPayload)
class MemoryPayload:
    """A memory that was changed."""

    memory: Memory
    """The memory in its current state."""


@graphql_type(memories.DeletedMemory)
class DeletedMemory:
    """A memory that was deleted."""

    deleted_id: strawberry.ID
    """The id of the deleted memory."""
