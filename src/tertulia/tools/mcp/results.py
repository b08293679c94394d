"""What MCP servers send, made good part by part: what is wrong with one tool or block costs nobody but itself.

The SDK validates a whole list, and a whole result, at once. So each part is reduced to what is used of it, and what
cannot be used is left out and named, before the SDK sees it.
"""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from mcp import types
from pydantic import ValidationError

from tertulia.json import Json, clean_text, dumps_spaced, is_deeper, is_list, is_object
from tertulia.tools.base import Image, Result

MAX_DESCRIPTION = 10_000
"""Characters of a tool's description; the rest is cut off."""
MAX_SHOWN_NAME = 100
MCP_HEADER = "x-mcp-header"
"""The keyword by which a schema asks for a header in calls; MCP of 2026-07-28."""
MAX_DEPTH = 64
KNOWN_DRAFTS = ("draft-04", "draft-06", "draft-07", "2019-09", "2020-12")


@dataclass(frozen=True, slots=True)
class ListedTool:
    """What is used of a tool of a list."""

    name: str
    description: str
    input_schema: Json

    def for_sdk(self) -> Json:
        """Return the tool as the SDK gets it: with its schema only where the SDK finds headers in there."""
        schema = self.input_schema if MCP_HEADER in json.dumps(self.input_schema) else {"type": "object"}
        return {"name": self.name, "inputSchema": schema}


@dataclass(slots=True)
class Listing:
    """What a server has listed, page by page."""

    tools: dict[str, ListedTool] = field(default_factory=dict[str, ListedTool])
    count: int = 0
    """Entries of the list, those that are not tools included."""
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    """Why tools were left out, by their names."""


def repair(result: Json, listing: Listing) -> None:
    """Make a list of tools, or the result of a call, such as the SDK accepts.

    Args:
        result: A result of any method, as the server sent it; it is changed.
        listing: Gets the tools of a list.
    """
    if not is_object(result.get("_meta", {})):
        del result["_meta"]
    if "tools" in result:
        result["tools"] = _tools(result["tools"] if is_list(result["tools"]) else [], listing)
        if not isinstance(result.get("nextCursor"), str):
            result.pop("nextCursor", None)
    elif "content" in result or "structuredContent" in result:
        _repair_call(result)


def _tools(listed: list[Any], listing: Listing) -> list[Json]:
    found: list[Json] = []
    for tool in listed:
        listing.count += 1
        name = _shown_name(tool, listing.count)
        try:
            good = _tool(tool)
        except ValueError as error:
            listing.skipped[name] = str(error)
            continue
        if good.name in listing.tools:
            listing.skipped[name] = "another tool has the same name, and was listed before it."
            continue
        listing.tools[good.name] = good
        found.append(good.for_sdk())
    return found


def _shown_name(tool: object, place: int) -> str:
    name = tool.get("name") if is_object(tool) else None
    return clean_text(name)[:MAX_SHOWN_NAME] if isinstance(name, str) and name else f"tool {place}"


def _tool(tool: object) -> ListedTool:
    """Return what is used of a tool; raise ValueError for one that cannot be called."""
    if not is_object(tool):
        raise ValueError("it is not an object.")
    name = tool.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ValueError("it has no name.")
    words = (part for part in (tool.get("description"), tool.get("title"), name) if isinstance(part, str) and part)
    description = clean_text(next(words))
    if len(description) > MAX_DESCRIPTION:
        description = f"{description[:MAX_DESCRIPTION]} …"
    return ListedTool(name, description, _input_schema(tool.get("inputSchema")))


def _input_schema(schema: object) -> Json:
    """Return a tool's schema as one of an object."""
    if schema is None or schema is True:
        return {"type": "object"}
    if not is_object(schema):
        raise ValueError("its inputSchema is not an object.")
    if is_deeper(schema, MAX_DEPTH):
        raise ValueError(f"its inputSchema has more than {MAX_DEPTH} levels.")
    kind = schema.get("type") or "object"
    if kind != "object" and not (is_list(kind) and "object" in kind):
        raise ValueError(
            f"its inputSchema is of the type {str(kind)[:MAX_SHOWN_NAME]}, and must be of the type object."
        )
    kept = {**schema, "type": "object"}
    if not any(draft in str(kept.get("$schema")) for draft in KNOWN_DRAFTS):
        kept.pop("$schema", None)
    return kept


def _repair_call(result: Json) -> None:
    content, structured = result.get("content"), result.get("structuredContent")
    blocks: list[Any] = content if is_list(content) else [content] if content is not None else []
    result["content"] = [_block(block) for block in blocks]
    if structured is not None and not is_object(structured):
        result["content"].append(_text(dumps_spaced(structured)))
        del result["structuredContent"]
    if not isinstance(result.get("isError", False), bool):
        result["isError"] = bool(result["isError"])


def _block(block: object) -> Json:
    """Return a block of a result without what is not used of it, or words in its place."""
    if isinstance(block, str):
        return _text(block)
    if not is_object(block):
        return _text("[A part of the result that is not a content block.]")
    kept = {name: value for name, value in block.items() if name not in ("annotations", "_meta", "icons")}
    if kept.get("type") in ("image", "audio") and not isinstance(kept.get("mimeType"), str):
        # What an image is, its bytes say.
        kept["mimeType"] = "application/octet-stream"
    try:
        types.CallToolResult.model_validate({"content": [kept]}, by_name=False)
    except ValidationError:
        return _text(
            f"[A part of the result that cannot be read, of the type {str(kept.get('type'))[:MAX_SHOWN_NAME]}.]"
        )
    return kept


def _text(words: str) -> Json:
    return {"type": "text", "text": words}


def result_of(given: types.CallToolResult) -> Result:
    """Return what a tool gave."""
    parts = [_part(block) for block in given.content]
    if given.structured_content is None or any(isinstance(block, types.TextContent) for block in given.content):
        return Result(parts, is_error=bool(given.is_error))
    parts.append(dumps_spaced(given.structured_content))
    return Result(parts, is_error=bool(given.is_error), is_json=len(parts) == 1)


def _part(block: types.ContentBlock) -> str | Image:
    match block:
        case types.TextContent():
            return block.text
        case types.ImageContent():
            return _image(block)
        case types.AudioContent():
            return _unseen(block.mime_type, block.data)
        case types.ResourceLink():
            return f"[{block.mime_type or 'resource'}, {block.name}, {block.uri}, not shown]"
        case types.EmbeddedResource():
            held = block.resource
            if isinstance(held, types.TextResourceContents):
                return held.text
            return _unseen(held.mime_type or "application/octet-stream", held.blob)


def _image(block: types.ImageContent) -> str | Image:
    try:
        return Image(base64.b64decode("".join(block.data.split()), validate=True), block.mime_type)
    except ValueError:
        return "[An image that cannot be read.]"


def _unseen(media_type: str, data: str) -> str:
    return f"[{media_type}, {len(data.rstrip('=')) * 3 // 4} bytes, not shown]"
