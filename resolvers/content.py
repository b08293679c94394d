"""Content blocks for clients, converted from the stored blocks of the Messages API."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tertulia.attachments.documents.passages import places_in, without_places
from tertulia.attachments.files import attachment_of
from tertulia.claude.continuation import writers_of
from tertulia.generation.accumulator import JSON_MARK
from tertulia.json import InvalidJson, Json, clean, dumps, exact_for_javascript, is_list, is_object, loads
from tertulia.tools.execution import JSON_RESULT


@dataclass(frozen=True, slots=True)
class Citation:
    """The source of a passage."""

    cited_text: str
    place: str | None
    source: str
    start_index: int | None
    end_index: int | None
    title: str | None
    url: str | None


@dataclass(frozen=True, slots=True)
class TextBlock:
    """A text."""

    index: int
    text: str
    citations: list[Citation]
    models: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class JsonBlock:
    """JSON that should match a schema."""

    index: int
    text: str
    value: Any
    problem: str | None
    models: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class CompactionBlock:
    """Claude's summary of everything before it."""

    index: int
    summary: str | None


@dataclass(frozen=True, slots=True)
class ThinkingBlock:
    """Claude's thinking, as far as the API returns it."""

    index: int
    text: str
    redacted: bool
    models: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class ToolUseBlock:
    """A tool call."""

    index: int
    tool_use_id: str
    name: str
    input: Any
    partial_json: str | None
    models: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class ToolResultBlock:
    """The result of a tool call."""

    index: int
    tool_use_id: str
    output: Any
    is_error: bool


@dataclass(frozen=True, slots=True)
class ImageBlock:
    """An image."""

    index: int
    attachment_id: UUID


@dataclass(frozen=True, slots=True)
class DocumentBlock:
    """A document."""

    index: int
    attachment_id: UUID


AttachmentBlock = ImageBlock | DocumentBlock
ContentBlock = (
    TextBlock | JsonBlock | CompactionBlock | ThinkingBlock | ToolUseBlock | ToolResultBlock | AttachmentBlock
)


def show(blocks: Sequence[Json]) -> list[ContentBlock]:
    """Convert stored blocks. Types that this version does not support are omitted; the others keep their index."""
    converted = (show_block(index, block) for index, block in enumerate(blocks))
    return [block for block in converted if block is not None]


def show_block(index: int, block: Json) -> ContentBlock | None:
    """Convert a stored block; return None if its type is not supported or it lacks a field that its type requires.

    Earlier versions imported incomplete blocks. Such a block must not make its whole conversation unreadable.
    """
    kind = str(block.get("type"))
    show_kind = _show_tool_result if kind.endswith("tool_result") else _KINDS.get(kind)
    try:
        return None if show_kind is None else show_kind(index, block)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _show_text(index: int, block: Json) -> TextBlock | JsonBlock:
    if JSON_MARK in block:
        return _show_json(index, block)
    citations = [_citation(item) for item in citations_of(block)]
    return TextBlock(index, text_of(block.get("text")), citations, writers_of(block))


def _show_json(index: int, block: Json) -> JsonBlock:
    schema_result: Json = block[JSON_MARK]
    is_valid = schema_result.get("checked") and schema_result["problem"] is None
    problem = schema_result.get("problem")
    text = text_of(block["text"])
    value = _value(text) if is_valid else None
    return JsonBlock(index, text, value, None if problem is None else str(problem), writers_of(block))


def _value(text: str, default: Any = None) -> Any:
    """Parse stored JSON for clients; return `default` for invalid JSON, which earlier versions accepted."""
    try:
        return exact_for_javascript(clean(loads(text)))
    except InvalidJson:
        return default


def _show_thinking(index: int, block: Json) -> ThinkingBlock:
    return ThinkingBlock(index, text_of(block.get("thinking")), block["type"] == "redacted_thinking", writers_of(block))


def _show_tool_use(index: int, block: Json) -> ToolUseBlock:
    # The input is null if the call was cut off.
    input = exact_for_javascript({} if block.get("input") is None else block["input"])
    partial = block.get("partial_json")
    partial_json = None if partial is None else text_of(partial)
    return ToolUseBlock(index, text_of(block["id"]), text_of(block["name"]), input, partial_json, writers_of(block))


def _show_tool_result(index: int, block: Json) -> ToolResultBlock:
    output = block.get("content")
    if block.get(JSON_RESULT) and isinstance(output, str):
        # Imported blocks may be marked as JSON although their text is not.
        output = _value(output, output)
    return ToolResultBlock(index, text_of(block["tool_use_id"]), output, bool(block.get("is_error")))


def _show_summary(index: int, block: Json) -> CompactionBlock:
    summary = block.get("content")
    return CompactionBlock(index, None if summary is None else text_of(summary))


def _show_attachment(index: int, block: Json) -> AttachmentBlock | None:
    attachment_id = attachment_of(block)
    if attachment_id is None:
        return None
    return ImageBlock(index, attachment_id) if block["type"] == "image" else DocumentBlock(index, attachment_id)


_KINDS: dict[str, Callable[[int, Json], ContentBlock | None]] = {
    "text": _show_text,
    "thinking": _show_thinking,
    "redacted_thinking": _show_thinking,
    "tool_use": _show_tool_use,
    "server_tool_use": _show_tool_use,
    "image": _show_attachment,
    "document": _show_attachment,
    "compaction": _show_summary,
}


def joined_text(blocks: Sequence[Json]) -> str:
    """Join the texts of all text blocks."""
    return "".join([text_of(block.get("text")) for block in blocks if block.get("type") == "text"])


def citations_of(block: Json) -> list[Json]:
    """Return a text block's citations, without items that are not objects."""
    citations: Any = block.get("citations")
    return [citation for citation in citations if is_object(citation)] if is_list(citations) else []


def cited_text_of(citation: Json) -> str:
    """Return the cited text, without the lines that name the places of converted documents."""
    return without_places(text_of(citation.get("cited_text")))


def place_of(citation: Json) -> str | None:
    """Return where the cited text is in its document, or None."""
    first, last = _index(citation.get("start_page_number")), _index(citation.get("end_page_number"))
    if first is not None:
        # The end is exclusive.
        return f"page {first}" if last is None or last <= first + 1 else f"pages {first}-{last - 1}"
    places = places_in(text_of(citation.get("cited_text")))
    return (places[0] if places[0] == places[-1] else f"{places[0]} to {places[-1]}") if places else None


def text_of(value: object) -> str:
    """Return a value as text: empty for null, JSON for other types, which earlier versions imported."""
    if value is None:
        return ""
    return value if isinstance(value, str) else dumps(value)


def _citation(citation: Json) -> Citation:
    start = citation.get("start_char_index", citation.get("start_page_number", citation.get("start_block_index")))
    end = citation.get("end_char_index", citation.get("end_page_number", citation.get("end_block_index")))
    source = citation.get("document_title") or citation.get("url") or citation.get("source") or ""
    title = citation.get("title") or citation.get("document_title")
    return Citation(
        cited_text_of(citation),
        place_of(citation),
        text_of(source),
        _index(start),
        _index(end),
        None if title is None else text_of(title),
        _url(citation.get("url") or citation.get("source")),
    )


def _url(value: object) -> str | None:
    """Return an address that pages can link to; None for anything else, such as the id of a document."""
    return value if isinstance(value, str) and value.startswith(("https://", "http://")) else None


def _index(value: object) -> int | None:
    """Return a citation's index; None if it is not an integer that fits into GraphQL's Int."""
    return value if type(value) is int and 0 <= value < 2**31 else None
