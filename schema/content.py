"""The blocks that a message is made of."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from db import tables
from resolvers import attachments, content
from schema.shows import served, shows


@strawberry.interface
class Node:
    """Anything with an id that `node` finds."""

    id: strawberry.ID


@strawberry.interface
class ContentBlock:
    """A part of a message; `index` is its place in it."""

    index: int


@shows(content.Citation)
class Citation:
    """Where a passage comes from; the indexes count characters, pages or blocks of the source."""

    cited_text: str
    source: str
    start_index: int | None
    end_index: int | None


@shows(content.TextBlock)
class TextBlock(ContentBlock):
    """Words."""

    text: str
    citations: list[Citation]


@shows(content.JsonBlock)
class JsonBlock(ContentBlock):
    """What `outputSchema` asked for. It is written as text; once whole, `value` is what fits the schema.

    Where it does not, `value` is null and `problem` says why; while it is written, both are null.
    """

    text: str
    value: JSON | None
    problem: str | None


@shows(content.CompactionBlock)
class CompactionBlock(ContentBlock):
    """Claude's summary of all that stands before it, from which it goes on; null where it could not sum it up.

    Nothing is deleted: the messages before it stay, and are only not read by Claude any more.
    """

    summary: str | None


@shows(content.ThinkingBlock)
class ThinkingBlock(ContentBlock):
    """Claude's thinking, as far as it is shown; empty where it is redacted."""

    text: str
    redacted: bool


@shows(content.ToolUseBlock)
class ToolUseBlock(ContentBlock):
    """A call of a tool. While it is being written, `partialJson` is the JSON text of its input so far."""

    tool_use_id: strawberry.ID
    name: str
    input: JSON
    partial_json: str | None


@shows(content.ToolResultBlock)
class ToolResultBlock(ContentBlock):
    """What a tool gave back."""

    tool_use_id: strawberry.ID
    output: JSON | None
    is_error: bool


@shows(tables.Attachment)
class Attachment(Node):
    """A file of the user's. `url` stands on this server, and is for its owner alone. `pages` are a document's."""

    filename: str
    media_type: str
    size_bytes: int
    url: str = served(attachments.url)
    width: int | None
    height: int | None
    pages: int | None
    created_at: datetime


@shows(content.ImageBlock)
class ImageBlock(ContentBlock):
    """A picture."""

    attachment: Attachment = served(attachments.attachment)


@shows(content.DocumentBlock)
class DocumentBlock(ContentBlock):
    """A document."""

    attachment: Attachment = served(attachments.attachment)
