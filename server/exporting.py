"""`tertulia export`: a user's conversations, straight from the storage."""

import sys
from pathlib import Path

from db import transfer
from db.blobs import Blobs
from db.database import Database
from resolvers.exporting import Format, export
from server.settings import Settings


async def write_export(settings: Settings, user: str, output: Path | None, *, markdown: bool) -> str | None:
    """Write to a file, or else to standard output; give what is wrong, in one line."""
    database = Database(settings.database_url)
    try:
        async with database.read() as session:
            found = await transfer.user_named(session, user)
        if found is None:
            return f"USER: there is no user of the name {user!r}."
        form = Format.MARKDOWN if markdown else Format.JSONL
        written = output.open("wb") if output else sys.stdout.buffer
        try:
            async for piece in export(database, Blobs(settings.attachments_place), found.id, None, form):
                written.write(piece)
            written.flush()
        finally:
            if output:
                written.close()
    except OSError as error:
        if error.errno is None:
            # It is the store of attachments that says so, not the system.
            return f"TERTULIA_ATTACHMENTS: what should be there cannot be read: {error}."
        return f"--output: cannot write {output}: {error.strerror}."
    finally:
        await database.close()
    return None
