"""The simulated Claude's calls of tools: of those that the request offers, and of Claude's own, as it is told to.

What it is told stands in the user's words (docs/simulator.md); what tools gave, it tells.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tertulia.json import Json
from tertulia.simulator.json_schema import example, example_input, schema_in
from tertulia.simulator.request_rules import SERVER_RESULTS, as_blocks, signature
from tertulia.simulator.script import Draft, Plan, speak
from tertulia.simulator.turns import (
    last_words,
    results_in,
    rounds_since_words,
    turns_of,
    waiting_in,
    what_was_said,
)

SHOWN = 200
"""Characters of a result that are told."""
SERVING = 0.5
"""Seconds that Claude's own tools take, at human pace."""
THOUGHT = "The user wants to see me use a tool. I will do so, and look at what it gives."
NO_TOOLS = "There are no tools in this request, so there is nothing that I could call."
NOT_NOW = "I may not call a tool in this answer."
QUERY = "the simulated Claude"
PAGES = ("First page about", "Second page about")
CODE: Json = {"code": "print(6 * 7)"}
_COMMAND = re.compile(r"/simulate\s+([a-z-]+)(?:\s+(\d+))?")
_CALL = re.compile(r"/simulate[^\S\n]+call[^\S\n]+([a-zA-Z0-9_-]{1,128})(?!\S)[^\S\n]*")
_SEARCH = re.compile(r"/simulate\s+(?:web-search|pause)(?:[^\S\n]+(\S[^\n]*))?")
_ROUNDS = re.compile(r"/simulate\s+rounds(?:\s+(\d+))?")


def act(body: Json) -> Plan | None:
    """Give the answer to a request in which tools are called, or Claude's own are waited for; None for others."""
    waiting = waiting_in(body)
    if waiting or turns_of(body["messages"])[-1].role == "assistant":
        return _go_on(body, waiting)
    asked = {name: int(number) if number else None for name, number in _COMMAND.findall(last_words(body))}
    # Calls come first: a search that is asked for beside them is made beside them.
    name = "call" if "call" in asked else next((name for name in asked if name in TOOL_SCENARIOS), None)
    choice: Json = body.get("tool_choice") or {}
    if choice.get("type") == "none":
        return None if name is None else _conclude(body, NOT_NOW)
    if name is not None:
        return TOOL_SCENARIOS[name](body, asked[name])
    rounds = _ROUNDS.search(what_was_said(body)[-1])
    if results_in(body) and not last_words(body) and rounds:
        return _rounds(body, int(rounds[1]) if rounds[1] else None)
    return _forced(body, choice)


def told_of(body: Json) -> str:
    """Tell what tools gave in the last turn: a sentence for each result; nothing where there is none."""
    results = results_in(body)
    if not results:
        return ""
    told = [_told(result) for result in results]
    shown = [block for _, block in turns_of(body["messages"])[-1].blocks if block["type"] in ("image", "document")]
    return " ".join([*told, *(f"Beside it there is {_shown(block)}." for block in shown)])


def _told(result: Json) -> str:
    parts = [_shown(block) for block in as_blocks(result.get("content") or [])]
    return f"The tool {'failed' if result.get('is_error') else 'gave'}: {' and '.join(parts) or 'nothing'}."


def _shown(block: Json) -> str:
    if block["type"] == "text":
        return f'"{block["text"][:SHOWN]}"'
    return "a picture" if block["type"] == "image" else "a document"


def _conclude(body: Json, text: str) -> Plan:
    """Say it, or what the request wants to be said instead: JSON by its schema."""
    schema = schema_in(body)
    return speak(body, text if schema is None else json.dumps(example(schema, schema), indent=2))


def _custom(body: Json) -> list[Json]:
    offered: list[Json] = body.get("tools") or []
    return [tool for tool in offered if "input_schema" in tool]


def _offers(body: Json, name: str) -> bool:
    offered: list[Json] = body.get("tools") or []
    return any(tool["name"] == name and "input_schema" not in tool for tool in offered)


def _begin(body: Json) -> Draft:
    """Begin an answer, with a thought where the user wants to see one."""
    draft = Draft(body["max_tokens"])
    if re.search(r"/simulate\s+thinking\b", what_was_said(body)[-1]):
        draft.think(THOUGHT, signature(body, THOUGHT))
    return draft


# ---- tools of the request ------------------------------------------------------------------------------------


def _tool_use(body: Json, _number: int | None) -> Plan:
    tools = _custom(body)
    if not tools:
        return _conclude(body, NO_TOOLS)
    return _called(body, [(tools[0]["name"], json.dumps(example_input(tools[0])))])


def _call(body: Json, _number: int | None) -> Plan:
    calls = list(_calls(body, last_words(body)))
    return _called(body, calls) if calls else _tool_use(body, None)


def _rounds(body: Json, number: int | None) -> Plan:
    if rounds_since_words(body) < (3 if number is None else number):
        return _tool_use(body, None)
    return _conclude(body, told_of(body) or "Not a single round was asked for.")


def _forced(body: Json, choice: Json) -> Plan | None:
    """Call a tool because the request leaves no choice; None where it does."""
    if choice.get("type") not in ("any", "tool"):
        return None
    wanted = [tool for tool in _custom(body) if tool["name"] == choice.get("name", tool["name"])]
    if wanted:
        return _called(body, [(wanted[0]["name"], json.dumps(example_input(wanted[0])))])
    code = choice.get("name") == "code_execution" or not _offers(body, "web_search")
    return _code(body, None) if code else _web_search(body, None)


def _calls(body: Json, words: str) -> list[tuple[str, str]]:
    """Give the calls that the user asks for: a tool's name, and the text that is to be its input."""
    found: list[tuple[str, str]] = []
    for asked in _CALL.finditer(words):
        text = words[asked.end() :]
        size = _size_of_object(text)
        given = text[:size] if size else text.partition("\n")[0].strip()
        inputs = [example_input(tool) for tool in _custom(body) if tool["name"] == asked[1]]
        found.append((asked[1], given or json.dumps(inputs[0] if inputs else {})))
    return found


def _called(body: Json, calls: Sequence[tuple[str, str]]) -> Plan:
    choice: Json = body.get("tool_choice") or {}
    draft = _begin(body)
    # A tool of Claude's own that is called beside others waits for their results.
    if re.search(r"/simulate\s+web-search\b", last_words(body)) and _offers(body, "web_search"):
        _serve(draft, "web_search", {"query": _query(last_words(body))})
    for name, text in calls[:1] if choice.get("disable_parallel_tool_use") else calls:
        block = {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex[:24]}", "name": name}
        draft.call(block, text, json.loads(text) if _size_of_object(text) == len(text) else {})
    return draft.plan("tool_use")


def _size_of_object(text: str) -> int:
    """Give how many characters the JSON object has with which a text begins; nothing where there is none."""
    if not text.startswith("{"):
        return 0
    try:
        return json.JSONDecoder(parse_constant=_no_json).raw_decode(text)[1]
    except (ValueError, RecursionError):
        return 0


def _no_json(name: str) -> None:
    raise ValueError(name)


# ---- Claude's own tools --------------------------------------------------------------------------------------


def _web_search(body: Json, _number: int | None) -> Plan:
    return _served(body, "web_search", {"query": _query(last_words(body))})


def _code(body: Json, _number: int | None) -> Plan:
    return _served(body, "code_execution", CODE)


def _pause(body: Json, _number: int | None) -> Plan:
    if not _offers(body, "web_search"):
        return _conclude(body, "There is no web_search tool in this request, so there is nothing to pause for.")
    draft = _begin(body)
    _serve(draft, "web_search", {"query": _query(last_words(body))})
    return draft.plan("pause_turn")


def _served(body: Json, name: str, input: Json) -> Plan:
    if not _offers(body, name):
        return _conclude(body, f"There is no {name} tool in this request, so I cannot use it.")
    draft = _begin(body)
    return _finish(body, draft, [_serve(draft, name, input)])


def _go_on(body: Json, waiting: Sequence[Json]) -> Plan:
    """Go on with a turn that was paused, or in which tools of Claude's own waited for the results of others."""
    return _finish(body, Draft(body["max_tokens"]), waiting)


def _serve(draft: Draft, name: str, input: Json) -> Json:
    block: Json = {"type": "server_tool_use", "id": f"srvtoolu_{uuid.uuid4().hex[:24]}", "name": name}
    draft.call(block, json.dumps(input), input)
    return {**block, "input": input}


def _finish(body: Json, draft: Draft, calls: Sequence[Json]) -> Plan:
    """Show what Claude's own tools gave, and end the turn in words."""
    for call in calls:
        answer = {"type": SERVER_RESULTS[call["name"]], "tool_use_id": call["id"], "content": _content(call)}
        draft.show(answer, SERVING)
    told = [_words(call) for call in calls] or ["Here I go on after a pause."]
    names = [call["name"] for call in calls]
    schema = schema_in(body)
    if schema is not None:
        draft.say(json.dumps(example(schema, schema), indent=2))
    else:
        cited = [_citation(call) for call in calls if call["name"] == "web_search"]
        draft.say(" ".join([*told, told_of(body)]).strip(), *cited)
    more: Json = {}
    if "web_search" in names:
        more["server_tool_use"] = {"web_search_requests": names.count("web_search"), "web_fetch_requests": 0}
    if "code_execution" in names:
        more["container"] = _container(body)
    return draft.plan(**more)


def _content(call: Json) -> Any:
    """Give what a tool of Claude's own gave."""
    match call["name"]:
        case "web_search":
            return [_page(call, number) for number in range(len(PAGES))]
        case "code_execution":
            printed = {"stdout": "42\n", "stderr": "", "return_code": 0}
            return {"type": "code_execution_result", **printed, "content": []}
        case name:
            return {"type": f"{SERVER_RESULTS[name]}_error", "error_code": "unavailable"}


def _page(call: Json, number: int) -> Json:
    query = str(call["input"].get("query", QUERY))
    return {
        "type": "web_search_result",
        "url": f"https://example.com/{'-'.join(re.findall(r'[a-z0-9]+', query.lower())) or 'page'}/{number + 1}",
        "title": f"{PAGES[number]} {query}",
        "encrypted_content": hashlib.sha256(f"{number}{query}".encode()).hexdigest(),
        "page_age": None if number else "November 1, 2026",
    }


def _citation(call: Json) -> Json:
    page = _page(call, 0)
    return {
        "type": "web_search_result_location",
        "cited_text": f"All that is known about {call['input'].get('query', QUERY)}.",
        "url": page["url"],
        "title": page["title"],
        "encrypted_index": page["encrypted_content"][:32],
    }


def _words(call: Json) -> str:
    match call["name"]:
        case "web_search":
            return f"I found two pages about “{call['input'].get('query', QUERY)}”."
        case "code_execution":
            return "The code printed 42."
        case name:
            return f"The tool {name} is not available."


def _query(words: str) -> str:
    asked = _SEARCH.search(words)
    return (asked[1] or "").strip() or QUERY if asked else QUERY


def _container(body: Json) -> Json:
    named: str | Json = body.get("container") or {}
    known = named if isinstance(named, str) else named.get("id")
    expires_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    return {"id": known or f"container_{uuid.uuid4().hex[:24]}", "expires_at": expires_at}


TOOL_SCENARIOS: dict[str, Callable[[Json, int | None], Plan]] = {
    "tool-use": _tool_use,
    "call": _call,
    "rounds": _rounds,
    "web-search": _web_search,
    "code": _code,
    "pause": _pause,
}
