"""Content blocks of messages."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from tertulia.db import tables
from tertulia.resolvers import attachments, content
from tertulia.schema.declare import field, graphql_type, interface
from tertulia.schema.relay import Node


@interface
class ContentBlock:
    """A part of a message. Kinds may be added: a client passes over those that it does not know."""

    index: int
    """Its place in the message, from 0. Kinds that this server cannot show leave gaps."""


@graphql_type(content.Citation)
class Citation:
    """Where a passage comes from. The indexes count characters or blocks of the source from 0, or pages from 1."""

    cited_text: str
    """The passage, as it stands in the source."""
    source: str
    """The document's title, or the address of a page of the web; empty where Claude gave neither."""
    start_index: int | None
    """The first character, page or block of the passage; null where the source has no such places."""
    end_index: int | None
    """The first character, page or block behind the passage; null where the source has no such places."""


@graphql_type(content.TextBlock)
class TextBlock(ContentBlock):
    """Words."""

    text: str
    """What is written so far; Claude likes to write Markdown. `TextDelta` adds to it."""
    citations: list[Citation]
    """Where passages of the text come from; complete once the block is, and empty where nothing is cited."""


@graphql_type(content.JsonBlock)
class JsonBlock(ContentBlock):
    """What `outputSchema` asked for, written as text, and checked once it is whole."""

    text: str
    """The JSON text so far. `TextDelta` adds to it."""
    value: JSON | None
    """What fits the schema, once the block is whole; null while it is written, and where it does not fit."""
    problem: str | None
    """Why it does not fit the schema, in words for people; null while it is written, and where it fits."""


@graphql_type(content.CompactionBlock)
class CompactionBlock(ContentBlock):
    """Claude's summary of all that stands before it, from which it goes on.

    Nothing is deleted: the messages before it stay, and are only not read by Claude any more.
    """

    summary: str | None
    """The summary in Claude's words; null where it could not sum up."""


@graphql_type(content.ThinkingBlock)
class ThinkingBlock(ContentBlock):
    """Claude's thinking, as far as it is shown."""

    text: str
    """A summary of the thinking so far; empty where it is redacted. `ThinkingDelta` adds to it."""
    redacted: bool
    """Whether Claude's API gave this thinking encrypted, for Claude's eyes alone."""


@graphql_type(content.ToolUseBlock)
class ToolUseBlock(ContentBlock):
    """A call of a tool."""

    tool_use_id: strawberry.ID
    """Names the call: its `ToolResultBlock` bears the same id, and `submitToolResults` takes it."""
    name: str
    """The tool's name: of the server's (`Query.tools`), of the client's, or of Claude's own."""
    input: JSON
    """What Claude passes, by the tool's schema; an empty object until it is whole."""
    partial_json: str | None
    """The JSON text of the input while it is written; null once it is whole. `ToolInputDelta` adds to it."""


@graphql_type(content.ToolResultBlock)
class ToolResultBlock(ContentBlock):
    """What a tool gave back."""

    tool_use_id: strawberry.ID
    """The call that it answers."""
    output: JSON | None
    """What the tool gave: JSON, a text, or texts and pictures as the Messages API's blocks; null until it is there."""
    is_error: bool
    """Whether the call failed or was refused; `output` then says why."""


@graphql_type(tables.Attachment)
class Attachment(Node):
    """A file of the viewer's, uploaded to `/attachments`; of the conversation whose message shows it first.

    PNG, JPEG, GIF or WebP of at most 3.75 MB and 8000 x 8000 pixels, or PDF of at most 22 MB and 600 pages.
    """

    filename: str
    """The name it was uploaded with, without folders; at most 200 characters."""
    media_type: str
    """What it is by its content, as `image/png` or `application/pdf`."""
    size_bytes: int
    """Its size in bytes."""
    url: str = field(attachments.url)
    width: int | None
    """Pixels; null for a document."""
    height: int | None
    """Pixels; null for a document."""
    pages: int | None
    """How many pages a document has; null for an image."""
    created_at: datetime
    """When it was uploaded, in UTC."""


@graphql_type(content.ImageBlock)
class ImageBlock(ContentBlock):
    """A picture: one that the user showed, or one that a tool gave."""

    attachment: Attachment = field(attachments.attachment)


@graphql_type(content.DocumentBlock)
class DocumentBlock(ContentBlock):
    """A document that the user showed; Claude may cite it."""

    attachment: Attachment = field(attachments.attachment)
