"""`tertulia export`: export a user's conversations directly from the database."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tertulia.db import accounts
from tertulia.db.blobs import Blobs
from tertulia.db.database import Database
from tertulia.server.settings import Settings
from tertulia.transfer import Format
from tertulia.transfer.exporter import export
from tertulia.transfer.format import LeftOutLine

MAX_LISTED = 20
"""The maximum number of missing items to list by id."""


async def write_export(settings: Settings, user: str, output: Path | None, *, markdown: bool) -> str | None:
    """Write the conversations of a user to a file or to standard output.

    Args:
        settings: The settings of the server.
        user: The name of the user.
        output: The file to write, or None for standard output.
        markdown: Write Markdown instead of JSON Lines.

    Returns:
        An error, or a list of the items that could not be exported, in one line; None if the export is complete.
    """
    database = Database(settings.database_url)
    try:
        async with database.read() as session:
            owner = await accounts.by_written_name(session, user)
        if owner is None:
            return f"USER: there is no user named {user!r}; see `tertulia user list`."
        export_format = Format.MARKDOWN if markdown else Format.JSONL
        left_out: list[LeftOutLine] = []
        file = output.open("wb") if output else sys.stdout.buffer
        try:
            blobs = Blobs(settings.attachments_place)
            async for piece in export(database, blobs, owner.id, None, export_format, left_out.append):
                file.write(piece)
            file.flush()
        finally:
            if output:
                file.close()
    except OSError as error:
        return f"--output: cannot write {output}: {error.strerror}."
    finally:
        await database.close()
    return _describe_missing(left_out)


def _describe_missing(left_out: Sequence[LeftOutLine]) -> str | None:
    """Describe the items that the export lacks; return None if it is complete."""
    if not left_out:
        return None
    listed = "; ".join(f"{item.kind} {item.id}" for item in left_out[:MAX_LISTED])
    remainder = f" and {len(left_out) - MAX_LISTED:,} more" if len(left_out) > MAX_LISTED else ""
    attachments = any(item.kind == "attachment" for item in left_out)
    hint = " The files of these attachments are missing in TERTULIA_ATTACHMENTS." if attachments else ""
    return f"The export is incomplete. These items are missing: {listed}{remainder}.{hint}"
