"""Repair the responses of MCP servers, so that an invalid tool or block does not affect the others.

The SDK accepts a list or a result only as a whole. So before the SDK validates it, each part is reduced to the fields
that are used, and invalid parts are left out and reported.
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
"""The maximum length of a tool's description in characters. A longer description is truncated."""
MAX_SHOWN_NAME = 100
MCP_HEADER = "x-mcp-header"
"""The keyword by which a schema requires a header in calls, in MCP 2026-07-28."""
MAX_DEPTH = 64
KNOWN_DRAFTS = ("draft-04", "draft-06", "draft-07", "2019-09", "2020-12")


@dataclass(frozen=True, slots=True)
class ListedTool:
    """The fields of a listed tool that are used."""

    name: str
    description: str
    input_schema: Json

    def for_sdk(self) -> Json:
        """Return the tool in the form for the SDK, which needs the schema only if the schema specifies headers."""
        schema = self.input_schema if MCP_HEADER in json.dumps(self.input_schema) else {"type": "object"}
        return {"name": self.name, "inputSchema": schema}


@dataclass(slots=True)
class Listing:
    """The tools that a server has listed."""

    tools: dict[str, ListedTool] = field(default_factory=dict[str, ListedTool])
    count: int = 0
    """The number of entries in the list, including invalid ones."""
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    """The reasons why tools were skipped, by name."""


def repair(result: Json, listing: Listing) -> None:
    """Change a list of tools, or the result of a call, in place so that the SDK accepts it.

    Args:
        result: A result of any method, as the server sent it.
        listing: Receives the tools of a list.
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
    sdk_tools: list[Json] = []
    for tool in listed:
        listing.count += 1
        name = _shown_name(tool, listing.count)
        try:
            listed_tool = _tool(tool)
        except ValueError as error:
            listing.skipped[name] = str(error)
            continue
        if listed_tool.name in listing.tools:
            listing.skipped[name] = "an earlier tool in the list has the same name."
            continue
        listing.tools[listed_tool.name] = listed_tool
        sdk_tools.append(listed_tool.for_sdk())
    return sdk_tools


def _shown_name(tool: object, position: int) -> str:
    name = tool.get("name") if is_object(tool) else None
    return clean_text(name)[:MAX_SHOWN_NAME] if isinstance(name, str) and name else f"tool {position}"


def _tool(tool: object) -> ListedTool:
    """Return the used fields of a tool. Raise ValueError if it cannot be called."""
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
    """Return a tool's schema as the schema of an object."""
    if schema is None or schema is True:
        return {"type": "object"}
    if not is_object(schema):
        raise ValueError("its inputSchema is not an object.")
    if is_deeper(schema, MAX_DEPTH):
        raise ValueError(f"its inputSchema has more than {MAX_DEPTH} levels.")
    kind = schema.get("type") or "object"
    if kind != "object" and not (is_list(kind) and "object" in kind):
        raise ValueError(f"its inputSchema has the type {str(kind)[:MAX_SHOWN_NAME]}, but must have the type object.")
    object_schema = {**schema, "type": "object"}
    if not any(draft in str(object_schema.get("$schema")) for draft in KNOWN_DRAFTS):
        object_schema.pop("$schema", None)
    return object_schema


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
    """Return a block of a result without unused fields. An invalid block is replaced with text."""
    if isinstance(block, str):
        return _text(block)
    if not is_object(block):
        return _text("[A part of the result is not a content block.]")
    reduced = {name: value for name, value in block.items() if name not in ("annotations", "_meta", "icons")}
    if reduced.get("type") in ("image", "audio") and not isinstance(reduced.get("mimeType"), str):
        # The type of an image is detected from its bytes.
        reduced["mimeType"] = "application/octet-stream"
    try:
        types.CallToolResult.model_validate({"content": [reduced]}, by_name=False)
    except ValidationError:
        return _text(
            f"[A part of the result, of the type {str(reduced.get('type'))[:MAX_SHOWN_NAME]}, could not be read.]"
        )
    return reduced


def _text(words: str) -> Json:
    return {"type": "text", "text": words}


def result_of(response: types.CallToolResult) -> Result:
    """Convert a response of the SDK to the result of a tool."""
    parts = [_part(block) for block in response.content]
    if response.structured_content is None or any(isinstance(block, types.TextContent) for block in response.content):
        return Result(parts, is_error=bool(response.is_error))
    parts.append(dumps_spaced(response.structured_content))
    return Result(parts, is_error=bool(response.is_error), is_json=len(parts) == 1)


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
            resource = block.resource
            if isinstance(resource, types.TextResourceContents):
                return resource.text
            return _unseen(resource.mime_type or "application/octet-stream", resource.blob)


def _image(block: types.ImageContent) -> str | Image:
    try:
        return Image(base64.b64decode("".join(block.data.split()), validate=True), block.mime_type)
    except ValueError:
        return "[An image could not be read.]"


def _unseen(media_type: str, data: str) -> str:
    return f"[{media_type}, {len(data.rstrip('=')) * 3 // 4} bytes, not shown]"
