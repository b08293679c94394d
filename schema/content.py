"""Content blocks of messages."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from tertulia.db import tables
from tertulia.resolvers import attachments, content, generated_files
from tertulia.schema.declare import field, graphql_type, interface
from tertulia.schema.relay import Node


@interface
class ContentBlock:
    """A part of a message. New types may be added: clients must ignore types that they do not know."""

    index: int
    """The block's position in the message, counted from 0. Blocks that this server cannot show leave gaps."""


@graphql_type(content.Citation)
class Citation:
    """The source of a passage. The indexes count characters or blocks of the source from 0, or its pages from 1."""

    cited_text: str
    """The cited text, exactly as in the source."""
    place: str | None
    """Where the cited text is in the document, for people: for example `page 3`, `slide 2` or `sheet “Prices”, B3:D20`.
    Null if the source has no such places.
    """
    source: str
    """The title of the document, the URL of the web page, or the source of a document that the application retrieved.
    Empty if Claude returned none of them.
    """
    start_index: int | None
    """The first character, page or block of the cited text. Null if the source has no such positions. Characters and
    blocks count in the text at `Attachment.convertedUrl`.
    """
    end_index: int | None
    """The first character, page or block after the cited text. Null if the source has no such positions."""
    title: str | None
    """The title of the document or the web page. Null if it has none."""
    url: str | None
    """The `http` or `https` address of the web page, or of a document that the application retrieved. Null if it has
    none.
    """


@graphql_type(content.TextBlock)
class TextBlock(ContentBlock):
    """Text, often in Markdown."""

    text: str
    """The text written so far. Each `TextDelta` extends it."""
    citations: list[Citation]
    """The sources that the text cites. Complete once the block is finished; empty if nothing is cited."""
    models: list[str]
    """The ids of the fallback models that wrote parts of the block, in order. Empty if there are none."""


@graphql_type(content.JsonBlock)
class JsonBlock(ContentBlock):
    """An answer in JSON, which `outputSchema` requested. The server validates it when the block is finished."""

    text: str
    """The JSON text written so far. Each `TextDelta` extends it."""
    value: JSON | None
    """The parsed JSON. Null until the block is finished, and if the JSON does not match the schema."""
    problem: str | None
    """Why the JSON does not match the schema, for people. Null until the block is finished, and if it matches."""
    models: list[str]
    """The ids of the fallback models that wrote parts of the block, in order. Empty if there are none."""


@graphql_type(content.CompactionBlock)
class CompactionBlock(ContentBlock):
    """Claude's summary of everything before this block.

    Claude continues from the summary and no longer reads the messages before it. They are not deleted.
    """

    summary: str | None
    """The text of the summary. Null if Claude could not write one."""


@graphql_type(content.ThinkingBlock)
class ThinkingBlock(ContentBlock):
    """Claude's thinking, as far as Claude's API shows it."""

    text: str
    """A summary of the thinking so far. Empty if `redacted` is true. Each `ThinkingDelta` extends it."""
    redacted: bool
    """Whether Claude's API returned this thinking in encrypted form, which only Claude can read."""
    models: list[str]
    """The ids of the fallback models that wrote parts of the block, in order. Empty if there are none."""


@graphql_type(content.ToolUseBlock)
class ToolUseBlock(ContentBlock):
    """A tool call."""

    tool_use_id: strawberry.ID
    """The id of the call. Its `ToolResultBlock` has the same id, and `submitToolResults` accepts it."""
    name: str
    """The name of the tool: a server tool (`Query.tools`), a client tool, or a tool that Claude's API runs."""
    input: JSON
    """The arguments that Claude passes to the tool. An empty object until they are complete."""
    partial_json: str | None
    """The JSON text of the input written so far; each `ToolInputDelta` extends it. Null once the input is complete."""
    models: list[str]
    """The ids of the fallback models that wrote parts of the block, in order. Empty if there are none."""


@graphql_type(content.ToolResultBlock)
class ToolResultBlock(ContentBlock):
    """The result of a tool call."""

    tool_use_id: strawberry.ID
    """The id of the tool call, as in its `ToolUseBlock`."""
    output: JSON | None
    """The tool's output: JSON, a text, or blocks of the Messages API with texts, images and the documents that Claude
    may cite (`search_result`). Null until it is available.
    """
    is_error: bool
    """Whether the call failed or was denied. `output` then contains the reason."""


@graphql_type(tables.Attachment)
class Attachment(Node):
    """A file that the viewer uploaded to `/attachments`, or that a tool or Claude made.

    It belongs to the conversation that first uses it. An upload is an image (PNG, JPEG, GIF, WebP, HEIC, AVIF, TIFF or
    BMP), a PDF of at most 22 MB and 600 pages, or another document with at most 2,000,000 characters of text, for
    example DOCX, XLSX, PPTX, EPUB, HTML, e-mail or source code. It has at most 32 MB. Images of more than 3.75 MB or
    8000 x 8000 pixels are scaled down for Claude. Files that Claude made can be of any type.
    """

    filename: str
    """The name of the file without its folders, at most 200 characters."""
    media_type: str
    """The media type, such as `image/png` or `application/pdf`. It is detected from the content, except for files of
    other types that Claude made.
    """
    size_bytes: int
    """The size of the file in bytes."""
    url: str = field(attachments.url)
    converted_url: str | None = field(attachments.converted_url)
    width: int | None
    """The width in pixels of the image that Claude receives. Null for other files than images."""
    height: int | None
    """The height in pixels of the image that Claude receives. Null for other files than images."""
    pages: int | None
    """The number of pages of a PDF. Null for other files."""
    characters: int | None
    """The number of characters of a document that Claude receives as text. Null for other files."""
    created_at: datetime
    """When the file was stored, in UTC."""


@graphql_type(generated_files.GeneratedFile)
class GeneratedFile:
    """A file that Claude made with code that it ran."""

    tool_use_id: strawberry.ID
    """The id of the call whose result names the file, as in its `ToolResultBlock`."""
    filename: str | None
    """The name of the file. Null while it is being fetched, and if there is a `problem`."""
    attachment: Attachment | None = field(generated_files.attachment)
    problem: str | None
    """Why the file is not stored, for people. Null if it is, or if it is still being fetched."""


@graphql_type(content.ImageBlock)
class ImageBlock(ContentBlock):
    """An image that the user attached or that a tool returned."""

    attachment: Attachment = field(attachments.attachment)


@graphql_type(content.DocumentBlock)
class DocumentBlock(ContentBlock):
    """A document that the user attached. Claude may cite it."""

    attachment: Attachment = field(attachments.attachment)
