"""`tertulia export`: a user's conversations, straight from the storage."""

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

NAMED = 20
"""Items that are named one by one."""


async def write_export(settings: Settings, user: str, output: Path | None, *, markdown: bool) -> str | None:
    """Write to a file, or else to standard output; give what is wrong, in one line."""
    database = Database(settings.database_url)
    try:
        async with database.read() as session:
            found = await accounts.by_written_name(session, user)
        if found is None:
            return f"USER: there is no user of the name {user!r}."
        form = Format.MARKDOWN if markdown else Format.JSONL
        left_out: list[LeftOutLine] = []
        written = output.open("wb") if output else sys.stdout.buffer
        try:
            blobs = Blobs(settings.attachments_place)
            async for piece in export(database, blobs, found.id, None, form, left_out.append):
                written.write(piece)
            written.flush()
        finally:
            if output:
                written.close()
    except OSError as error:
        return f"--output: cannot write {output}: {error.strerror}."
    finally:
        await database.close()
    return _said(left_out)


def _said(left_out: Sequence[LeftOutLine]) -> str | None:
    """Say what the export has left out; None where it is complete."""
    if not left_out:
        return None
    named = "; ".join(f"{one.kind} {one.id}" for one in left_out[:NAMED])
    more = f" and {len(left_out) - NAMED:,} more" if len(left_out) > NAMED else ""
    attachments = any(one.kind == "attachment" for one in left_out)
    hint = " The bytes of attachments are missing in the folder that TERTULIA_ATTACHMENTS names." if attachments else ""
    return f"The export is written, without {named}{more}.{hint}"
