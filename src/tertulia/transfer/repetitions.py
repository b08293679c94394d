"""Repeated imports of a file: the conversations that an earlier import has stored are recognized by their ids."""

from uuid import UUID, uuid5

from tertulia.db import conversations
from tertulia.generation.retention import ResourceDeleter
from tertulia.resolvers.context import Context, as_uuid


def imported_id(owner: UUID, exported_id: str) -> UUID:
    """Return the id under which a conversation of a file is stored for an owner."""
    return uuid5(owner, exported_id)


async def is_imported(context: Context, exported_id: str) -> bool:
    """Return whether the viewer has a conversation of a file already.

    It is the exported conversation itself, or one that was imported from it. The part of a conversation that an
    interrupted import has stored is deleted.
    """
    owner = context.viewer.user_id
    original_id, copy_id = as_uuid(exported_id), imported_id(owner, exported_id)
    ids = [copy_id] if original_id is None else [original_id, copy_id]
    async with context.database.read() as session:
        existing = await conversations.read_many(session, owner, ids)
    if original_id in existing or (copy_id in existing and not existing[copy_id].temporary):
        return True
    if copy_id in existing:
        await ResourceDeleter(context.database, context.log, context.services.files).remove(owner, copy_id)
    return False
