"""The files that Claude made for an answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from tertulia.attachments.generated_files import MAX_FILES, files_in
from tertulia.db.rows import AnyMessage
from tertulia.db.tables import UNFINISHED, Attachment
from tertulia.resolvers.context import Info

TOO_MANY = f"Only the first {MAX_FILES} files of an answer are stored."
NOT_FETCHED = "The answer ended before the file was fetched."
"""The problem of a file of an answer that was stopped or has failed. It has none once it is stored."""


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """A file that Claude made; without an attachment and a problem while it is being fetched."""

    tool_use_id: str
    filename: str | None
    attachment_id: UUID | None
    problem: str | None


async def files(info: Info, root: AnyMessage) -> Sequence[GeneratedFile]:
    """The files that Claude made with code that it ran for the answer, in order. Empty if there are none.

    They are fetched from Claude's Files API after each response, before the answer ends: at most 20, of at most 32 MB.
    The files of an answer that is stopped or fails are fetched a little after its end.
    """
    references = files_in(root.content)
    if not references:
        return []
    loaders = info.context.loaders
    rows = {row.file_id: row for row in await loaders.generated_files.load(root.id) or ()}
    generation = await loaders.generation_of.load(root.id)
    is_unfinished = generation is not None and generation.status in UNFINISHED
    found: list[GeneratedFile] = []
    for number, reference in enumerate(references):
        row = rows.get(reference.file_id)
        if row is not None:
            found.append(GeneratedFile(reference.tool_use_id, row.filename, row.attachment_id, row.problem))
        else:
            problem = TOO_MANY if number >= MAX_FILES else None if is_unfinished else NOT_FETCHED
            found.append(GeneratedFile(reference.tool_use_id, None, None, problem))
    return found


async def attachment(info: Info, root: GeneratedFile) -> Attachment | None:
    """The stored file, with the path for its download. Null while it is being fetched, and if there is a `problem`."""
    return None if root.attachment_id is None else await info.context.loaders.attachments.load(root.attachment_id)
