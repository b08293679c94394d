"""The simulated Claude's search for deferred tools, and the API's rules about it.

Source: "Tool search tool" in the Claude API documentation.
"""

import json
import math
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tertulia.json import Json, is_list, is_object
from tertulia.simulator.request_rules import as_blocks, invalid
from tertulia.simulator.script import Draft
from tertulia.simulator.turns import Turn

SEARCHES = ("tool_search_tool_bm25", "tool_search_tool_regex")
RESULT = "tool_search_tool_result"
MOST_FOUND = 5
SEARCH_DELAY = 0.2
"""The time in seconds that a search takes, at the pace 1."""
MAX_TOOLS = 10_000


def check_definitions(tools: Sequence[Json]) -> None:
    """Raise Refused for definitions that cannot be combined with deferred loading."""
    if len(tools) > MAX_TOOLS:
        raise invalid(f"tools: List should have at most {MAX_TOOLS} items")
    for index, tool in enumerate(tools):
        if tool.get("defer_loading") and tool.get("cache_control"):
            problem = "cannot have both defer_loading=true and cache_control set"
            raise invalid(f"Tool '{tool['name']}' {problem}. Tools with defer_loading cannot use prompt caching.")
        if tool.get("defer_loading") and tool["name"] in SEARCHES:
            raise invalid(f"tools.{index}: a tool search tool cannot have defer_loading set")
    if tools and all(tool.get("defer_loading") for tool in tools):
        raise invalid("All tools have defer_loading set. At least one tool must be non-deferred.")
    if search_tool(tools) and any(tool.get("input_examples") for tool in tools):
        raise invalid("tools: tool search does not support input_examples")


def check_references(turns: Iterable[Turn], tools: Sequence[Json]) -> None:
    """Raise Refused for references to tools without a definition, and for calls of tools that were not found before."""
    names, deferred = {tool["name"] for tool in tools}, deferred_names(tools)
    found: set[str] = set()
    for turn in turns:
        for path, block in turn.blocks:
            if block["type"] == RESULT:
                _check_result(f"{path}.{RESULT}.content", block.get("content"))
            for name in references_in(block):
                if name not in names:
                    raise invalid(f"Tool reference '{name}' has no corresponding tool definition")
                found.add(name)
            if block["type"] == "tool_use" and block["name"] in deferred - found:
                raise invalid(f"{path}: the deferred tool '{block['name']}' was called before it was found")


def _check_result(path: str, content: Any) -> None:
    kind = content.get("type") if is_object(content) else None
    if kind == "tool_search_tool_result_error":
        return
    if kind != "tool_search_tool_search_result" or not is_list(content.get("tool_references")):
        raise invalid(f"{path}: Input should be a tool_search_tool_search_result or tool_search_tool_result_error")


def references_in(block: Json) -> Iterator[str]:
    """Yield the names of the tools to which a block refers."""
    content: Any = block.get("content")
    if block["type"] == RESULT:
        content = content.get("tool_references") if is_object(content) else None
    elif block["type"] != "tool_result":
        return
    for part in content if is_list(content) else ():
        if is_object(part) and part.get("type") == "tool_reference":
            yield str(part.get("tool_name"))


def deferred_names(tools: Sequence[Json]) -> set[str]:
    """Return the names of the deferred tools."""
    return {tool["name"] for tool in tools if tool.get("defer_loading")}


def found_names(body: Json) -> set[str]:
    """Return the names of the tools that were found in a conversation."""
    blocks = (block for message in body["messages"] for block in as_blocks(message["content"]))
    return {name for block in blocks for name in references_in(block)}


def search_tool(tools: Sequence[Json]) -> str | None:
    """Return the name of the request's tool for searches, or None if it has none."""
    return next((tool["name"] for tool in tools if tool["name"] in SEARCHES and "input_schema" not in tool), None)


def search(body: Json, draft: Draft, query: str) -> list[str]:
    """Add a search to an answer, with its result. Return the names of the tools that it found."""
    tools: list[Json] = body.get("tools") or []
    name = search_tool(tools)
    if name is None:
        return []
    block: Json = {"type": "server_tool_use", "id": f"srvtoolu_{uuid.uuid4().hex[:24]}", "name": name}
    draft.call(block, json.dumps({"query": query}), {"query": query})
    deferred = [tool for tool in tools if tool.get("defer_loading")]
    matches = _by_pattern(deferred, query) if name == "tool_search_tool_regex" else _by_words(deferred, query)
    references = [{"type": "tool_reference", "tool_name": name} for name in matches]
    content = {"type": "tool_search_tool_search_result", "tool_references": references}
    draft.add({"type": RESULT, "tool_use_id": block["id"], "content": content}, SEARCH_DELAY)
    return matches


def _text(tool: Json) -> str:
    """Return what is searched: the names and descriptions of a tool and its arguments."""
    schema: Json = tool.get("input_schema") or {}
    properties: dict[str, Any] = schema.get("properties") or {}
    arguments = [
        f"{name} {part.get('description', '') if is_object(part) else ''}" for name, part in properties.items()
    ]
    return " ".join([tool["name"], tool.get("description", ""), *arguments])


def _by_pattern(tools: Sequence[Json], pattern: str) -> list[str]:
    return [tool["name"] for tool in tools if re.search(pattern, _text(tool))][:MOST_FOUND]


def _by_words(tools: Sequence[Json], query: str) -> list[str]:
    """Return the best matches by BM25, with its usual parameters 1.2 and 0.75. A name that is the query is best."""
    documents = [Counter(_words(_text(tool))) for tool in tools]
    average = sum(document.total() for document in documents) / max(1, len(documents)) or 1
    scores: list[float] = []
    for tool, document in zip(tools, documents, strict=True):
        score = math.inf if tool["name"] == query.strip() else 0.0
        for word in _words(query):
            containing = sum(word in other for other in documents)
            rarity = math.log(1 + (len(documents) - containing + 0.5) / (containing + 0.5))
            length = 0.25 + 0.75 * document.total() / average
            score += rarity * document[word] * 2.2 / (document[word] + 1.2 * length)
        scores.append(score)
    ranked = sorted(range(len(tools)), key=lambda index: -scores[index])
    return [tools[index]["name"] for index in ranked[:MOST_FOUND] if scores[index] > 0]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())
