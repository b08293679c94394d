"""The viewer's memories: the files that assistants keep, which the viewer can list, change and delete."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from strawberry import ID

from tertulia.assistants.definition import Assistant
from tertulia.db import leases
from tertulia.db import memories as rows
from tertulia.db.memories import Memory
from tertulia.db.paging import Connection, Page
from tertulia.resolvers.arguments import After, Before, First, Last, argument
from tertulia.resolvers.context import Info, as_uuid
from tertulia.resolvers.errors import InvalidInput, NotFound
from tertulia.resolvers.inputs import check_text
from tertulia.tools.memory_files import MAX_FILE_BYTES, size_problem


@dataclass
class UpdateMemory:
    """The new content of a memory."""

    id: ID
    """The id of the memory."""
    content: str
    """The new text, at most 65,536 bytes in UTF-8."""
    expected_updated_at: datetime | None = None
    """The `updatedAt` that the client has read, in UTC, so that a later change of the assistant is not overwritten.
    Null to replace any content.
    """


@dataclass(frozen=True, slots=True)
class MemoryPayload:
    """The changed memory."""

    memory: Memory


@dataclass(frozen=True, slots=True)
class DeletedMemory:
    """The deleted memory."""

    deleted_id: str


async def memories_of_viewer(
    info: Info,
    assistant_id: Annotated[
        ID | None, argument("The id of an assistant, to list only its memories. Null for all.")
    ] = None,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Connection[Memory]:
    """The files that assistants keep about the viewer between conversations, newest first.

    An assistant reads and writes only its own files, and only if its `memory` is true. A page has at most 100 memories,
    and 50 by default.
    """
    async with info.context.read() as session:
        return await rows.page(session, info.context.viewer.user_id, Page(first, after, last, before), assistant_id)


async def assistant_of(info: Info, root: Memory) -> Assistant | None:
    """The assistant that writes and reads the memory. Null if it no longer exists or the viewer's plan lacks it."""
    return info.context.assistants.get(root.assistant)


async def update_memory(
    info: Info, input: Annotated[UpdateMemory, argument("The memory, and its new content.")]
) -> MemoryPayload:
    """Replace the content of a memory. The assistant reads the new content the next time it views the file.

    - `InvalidInput`: The content is too long, or the memory has changed since `expectedUpdatedAt`.
    - `NotFound`: The memory does not exist.
    """
    context, owner, memory_id = info.context, info.context.viewer.user_id, as_uuid(input.id)
    content = check_text("content", input.content, MAX_FILE_BYTES)
    async with context.database.write() as session:
        await leases.lock_owner(session, owner)
        memory = await rows.get(session, owner, memory_id) if memory_id else None
        if memory is None:
            raise NotFound(input.id, "memory")
        if input.expected_updated_at is not None and input.expected_updated_at != memory.updated_at:
            raise InvalidInput("expectedUpdatedAt", "must be the current `updatedAt`: the memory has changed since.")
        problem = size_problem(await rows.sizes(session, owner, memory.assistant), memory.path, content)
        if problem is not None:
            raise InvalidInput("content", problem)
        await rows.write(session, memory, content)
    return MemoryPayload(memory)


async def delete_memory(info: Info, id: Annotated[ID, argument("The id of the memory to delete.")]) -> DeletedMemory:
    """Delete a memory. This cannot be undone. Messages that contain its text are not changed.

    - `NotFound`: The memory does not exist, or has already been deleted.
    """
    context, owner, memory_id = info.context, info.context.viewer.user_id, as_uuid(id)
    async with context.database.write() as session:
        await leases.lock_owner(session, owner)
        if memory_id is None or not await rows.remove(session, owner, memory_id):
            raise NotFound(id, "memory")
    return DeletedMemory(str(memory_id))
