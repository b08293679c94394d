"""Tool search: Claude reads the definitions of deferred tools only after it has found them. This module does no I/O.

The API shows a found tool to Claude at the place of its `tool_reference`, so the beginning of the prompt, and with it
Claude's cache, stays the same. Source: "Tool search tool" in the Claude API documentation.
"""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from tertulia.json import Json, dumps, is_list, is_object

TOOL_SEARCH: Json = {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}
"""The definition of the tool with which Claude searches in natural language."""
SEARCH_NAMES = ("tool_search_tool_bm25", "tool_search_tool_regex")
SEARCH_RESULT = "tool_search_tool_result"
REMOVED_TOOL: Json = {"description": "This tool was removed and cannot be called.", "input_schema": {"type": "object"}}
"""The definition of a tool that was called or found in the conversation and no longer exists."""


def with_search(
    definitions: Sequence[Json], deferred: AbstractSet[str], contents: Iterable[Sequence[Json]]
) -> list[Json]:
    """Return the definitions of a request, in which Claude must search for some tools.

    Tools that Claude has called without a search stay loaded: their calls may be older than their deferral.

    Args:
        definitions: The definitions of all tools.
        deferred: The names of the tools to defer. If it is empty, the definitions are unchanged.
        contents: The blocks of the earlier messages.
    """
    if not deferred or any(tool["name"] == TOOL_SEARCH["name"] for tool in definitions):
        return list(definitions)
    called_names, found_names = set[str](), set[str]()
    for blocks in contents:
        for block in blocks:
            found_names.update(_references(block))
            if block.get("type") == "tool_use":
                called_names.add(str(block.get("name")))
    hidden = deferred - (called_names - found_names)
    if all(tool["name"] not in hidden for tool in definitions):
        return list(definitions)
    marked = [_deferred(tool) if tool["name"] in hidden else _without_examples(tool) for tool in definitions]
    return [*marked, TOOL_SEARCH]


def searches(definitions: Iterable[Json]) -> bool:
    """Return whether Claude can search for tools in a request with these definitions."""
    return any(tool.get("type") == TOOL_SEARCH["type"] for tool in definitions)


def without_searches(blocks: Sequence[Json]) -> list[Json]:
    """Return the blocks of a message without searches for tools. Nothing is lost if all tools are loaded."""
    return [block for block in blocks if not _is_search(block)]


def with_found_tools(definitions: Sequence[Json], messages: Iterable[Json]) -> list[Json]:
    """Return the definitions with those of removed tools that Claude has found, because the API requires them.

    Args:
        definitions: The definitions of the request.
        messages: The messages of the request.
    """
    names = {tool["name"] for tool in definitions}
    found_names = {name for message in messages for block in message["content"] for name in _references(block)}
    return [
        *definitions,
        *({"name": name, **REMOVED_TOOL, "defer_loading": True} for name in sorted(found_names - names)),
    ]


def _is_search(block: Json) -> bool:
    return block.get("type") == SEARCH_RESULT or (
        block.get("type") == "server_tool_use" and block.get("name") in SEARCH_NAMES
    )


def _references(block: Json) -> Iterator[str]:
    """Yield the names of the tools in the result of a search."""
    content: Any = block.get("content") if block.get("type") == SEARCH_RESULT else None
    references: Any = content.get("tool_references") if is_object(content) else None
    for reference in references if is_list(references) else ():
        if is_object(reference) and isinstance(name := reference.get("tool_name"), str):
            yield name


def _deferred(tool: Json) -> Json:
    return {**_without_examples(tool), "defer_loading": True}


def _without_examples(tool: Json) -> Json:
    """Return a definition whose examples are part of its description, because tool search does not support others."""
    if not tool.get("input_examples"):
        return tool
    examples = "\n".join(dumps(example) for example in tool["input_examples"])
    described = {**tool, "description": f"{tool['description']}\n\nExamples of the input:\n{examples}"}
    del described["input_examples"]
    return described
