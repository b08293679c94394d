"""The simulated Claude's calls of client tools and server tools.

Commands in the user's message request calls (see docs/simulator.md). The answer then describes the results.
"""

import json
import re
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tertulia.json import Json
from tertulia.simulator.breaks import broken_text
from tertulia.simulator.files import make_file
from tertulia.simulator.json_schema import example, example_input, schema_in
from tertulia.simulator.request_rules import SERVER_RESULTS, as_blocks
from tertulia.simulator.script import Draft, Plan, speak
from tertulia.simulator.tool_search import deferred_names, found_names, search, search_tool
from tertulia.simulator.turns import (
    last_words,
    results_in,
    rounds_since_text,
    turns_of,
    user_texts,
    waiting_in,
)
from tertulia.simulator.web import QUERY, citation_of, fetched_page, found_pages

MAX_QUOTE = 200
"""The number of characters of a result that the answer quotes."""
SERVER_TOOL_DELAY = 0.5
"""The time in seconds that a server tool takes, at the pace 1."""
THOUGHT = "The user wants to see how I use a tool. I will call one, and look at its result."
NO_MEMORY = "This request has no memory tool, so I have no memory."
FACT = "The user likes tea."
MAX_FILE_NAME = 40
MAX_FILES_READ = 5
NO_TOOLS = "This request has no tools, so I cannot call one."
NOT_ALLOWED = "I am not allowed to call a tool in this answer."
CODE: Json = {"code": "print(6 * 7)"}
_COMMAND = re.compile(r"/simulate\s+([a-z-]+)(?:\s+(\d+))?")
_CALL = re.compile(r"/simulate[^\S\n]+call[^\S\n]+([a-zA-Z0-9_-]{1,128})(?!\S)[^\S\n]*")
_SEARCH = re.compile(r"/simulate\s+(?:web-search|pause)(?:[^\S\n]+(\S[^\n]*))?")
_FETCH = re.compile(r"/simulate\s+web-fetch[^\S\n]+(\S+)")
_TOOL_SEARCH = re.compile(r"/simulate\s+tool-search(?:[^\S\n]+(\S[^\n]*))?")
_FILE = re.compile(r"/simulate[^\S\n]+file[^\S\n]+(\S{1,100})")
_REMEMBER = re.compile(r"/simulate[^\S\n]+remember[^\S\n]+(\S[^\n]*)")
_RECALL = re.compile(r"/simulate\s+recall\b")
_REMEMBERED_FILE = re.compile(r"^\S+\t(/memories/.*[^/\n])$", re.MULTILINE)
_ROUNDS = re.compile(r"/simulate\s+rounds(?:\s+(\d+))?")


def act(body: Json) -> Plan | None:
    """Return the answer to a request that requests tool calls or waits for server tools, or None for other requests."""
    waiting = waiting_in(body)
    if waiting or turns_of(body["messages"])[-1].role == "assistant":
        return _resume(body, waiting)
    commands = {name: int(number) if number else None for name, number in _COMMAND.findall(last_words(body))}
    # `call` comes first, because it includes a search that the same message requests.
    name = "call" if "call" in commands else next((name for name in commands if name in TOOL_SCENARIOS), None)
    choice: Json = body.get("tool_choice") or {}
    if choice.get("type") == "none":
        return None if name is None else _conclude(body, NOT_ALLOWED)
    if name is not None:
        return TOOL_SCENARIOS[name](body, commands[name])
    if results_in(body) and not last_words(body) and _RECALL.search(user_texts(body)[-1]):
        return _read_memory(body)
    rounds = _ROUNDS.search(user_texts(body)[-1])
    if results_in(body) and not last_words(body) and rounds:
        return _rounds(body, int(rounds[1]) if rounds[1] else None)
    return _forced(body, choice)


def describe_results(body: Json) -> str:
    """Describe the tool results of the last turn in one sentence each. Return an empty string if there are none."""
    results = results_in(body)
    if not results:
        return ""
    descriptions = [_describe_result(result) for result in results]
    media = [block for _, block in turns_of(body["messages"])[-1].blocks if block["type"] in ("image", "document")]
    return " ".join([*descriptions, *(f"There is also {_quote(block)}." for block in media)])


def _describe_result(result: Json) -> str:
    parts = [_quote(block) for block in as_blocks(result.get("content") or [])]
    return f"The tool {'failed' if result.get('is_error') else 'returned'}: {' and '.join(parts) or 'nothing'}."


def _quote(block: Json) -> str:
    if block["type"] == "text":
        return f'"{block["text"][:MAX_QUOTE]}"'
    if block["type"] == "search_result":
        return f"the source “{block['title']}”"
    return "a picture" if block["type"] == "image" else "a document"


def _conclude(body: Json, text: str) -> Plan:
    """Return an answer with a text, or with JSON if the request has an output schema."""
    schema = schema_in(body)
    return speak(body, text if schema is None else json.dumps(example(schema, schema), indent=2))


def _custom_tools(body: Json) -> list[Json]:
    offered: list[Json] = body.get("tools") or []
    return [tool for tool in offered if "input_schema" in tool]


def _offers(body: Json, name: str) -> bool:
    offered: list[Json] = body.get("tools") or []
    return any(tool["name"] == name and "input_schema" not in tool for tool in offered)


def begin(body: Json, thought: str = THOUGHT) -> Draft:
    """Start an answer: with thinking if the user requested it, and with text if the user requested a break."""
    draft = Draft(body["max_tokens"])
    if re.search(r"/simulate\s+(?:break-)?thinking\b", user_texts(body)[-1]):
        draft.think(thought)
    text = broken_text(body)
    if text is not None:
        draft.say(text)
    return draft


# Client tools


def _tool_use(body: Json, _number: int | None) -> Plan:
    tools = _custom_tools(body)
    if not tools:
        return _conclude(body, NO_TOOLS)
    return _call_tools(body, [(tools[0]["name"], json.dumps(example_input(tools[0])))])


def _call(body: Json, _number: int | None) -> Plan:
    calls = list(_calls(body, last_words(body)))
    return _call_tools(body, calls) if calls else _tool_use(body, None)


def _rounds(body: Json, number: int | None) -> Plan:
    if rounds_since_text(body) < (3 if number is None else number):
        return _tool_use(body, None)
    return _conclude(body, describe_results(body) or "No rounds were requested.")


def _remember(body: Json, _number: int | None) -> Plan:
    if not _offers(body, "memory"):
        return _conclude(body, NO_MEMORY)
    match = _REMEMBER.search(last_words(body))
    fact = match[1].strip() if match else FACT
    name = "-".join(re.findall(r"\w+", fact.lower())[:5])[:MAX_FILE_NAME] or "note"
    command = {"command": "create", "path": f"/memories/{name}.md", "file_text": f"{fact}\n"}
    return _call_tools(body, [("memory", json.dumps(command))])


def _recall(body: Json, _number: int | None) -> Plan:
    if not _offers(body, "memory"):
        return _conclude(body, NO_MEMORY)
    return _call_tools(body, [("memory", json.dumps({"command": "view", "path": "/memories"}))])


def _read_memory(body: Json) -> Plan:
    """View the files of the folder that the last result lists, or describe the files that it contains."""
    contents = [block["text"] for result in results_in(body) for block in as_blocks(result.get("content") or [])]
    files = _REMEMBERED_FILE.findall("\n".join(contents)) if rounds_since_text(body) == 1 else []
    if not files:
        return _conclude(body, describe_results(body))
    views = [{"command": "view", "path": path} for path in files[:MAX_FILES_READ]]
    return _call_tools(body, [("memory", json.dumps(view)) for view in views])


def _forced(body: Json, choice: Json) -> Plan | None:
    """Return a tool call if the request's `tool_choice` forces one, else None."""
    if choice.get("type") not in ("any", "tool"):
        return None
    tools = [tool for tool in _custom_tools(body) if tool["name"] == choice.get("name", tool["name"])]
    if tools:
        return _call_tools(body, [(tools[0]["name"], json.dumps(example_input(tools[0])))])
    code = choice.get("name") == "code_execution" or not _offers(body, "web_search")
    return _code(body, None) if code else _web_search(body, None)


def _calls(body: Json, message: str) -> list[tuple[str, str]]:
    """Return the calls that the user requests, as tool names and input texts."""
    calls: list[tuple[str, str]] = []
    for match in _CALL.finditer(message):
        following_text = message[match.end() :]
        size = _size_of_object(following_text)
        input_text = following_text[:size] if size else following_text.partition("\n")[0].strip()
        inputs = [example_input(tool) for tool in _custom_tools(body) if tool["name"] == match[1]]
        calls.append((match[1], input_text or json.dumps(inputs[0] if inputs else {})))
    return calls


def _call_tools(body: Json, calls: Sequence[tuple[str, str]]) -> Plan:
    choice: Json = body.get("tool_choice") or {}
    draft = begin(body)
    # A server tool that is called together with client tools waits for the client tools' results.
    if re.search(r"/simulate\s+web-search\b", last_words(body)) and _offers(body, "web_search"):
        _call_server_tool(draft, "web_search", {"query": _query(last_words(body))})
    calls = calls[:1] if choice.get("disable_parallel_tool_use") else calls
    unknown = deferred_names(body.get("tools") or []) - found_names(body)
    count = 0
    for name, _ in calls:
        if name in unknown:
            unknown -= {name, *search(body, draft, name)}
            count += 1
    for name, text in calls:
        block = {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex[:24]}", "name": name}
        draft.call(block, text, json.loads(text) if _size_of_object(text) == len(text) else {})
    return draft.plan("tool_use", **_search_usage(count))


def _tool_search(body: Json, _number: int | None) -> Plan:
    if search_tool(body.get("tools") or []) is None:
        return _conclude(body, "This request has no tool for searching tools.")
    draft = begin(body)
    match = _TOOL_SEARCH.search(last_words(body))
    matches = search(body, draft, (match[1] or "").strip() if match else "")
    draft.say(f"I found these tools: {', '.join(matches)}." if matches else "I found no such tool.")
    return draft.plan(**_search_usage(1))


def _search_usage(count: int) -> Json:
    return {"server_tool_use": {"tool_search_requests": count}} if count else {}


def _size_of_object(text: str) -> int:
    """Return the length of the JSON object with which a text begins, or 0 if there is none."""
    if not text.startswith("{"):
        return 0
    try:
        return json.JSONDecoder(parse_constant=_refuse_constant).raw_decode(text)[1]
    except (ValueError, RecursionError):
        return 0


def _refuse_constant(name: str) -> None:
    # `NaN` and `Infinity` are not JSON.
    raise ValueError(name)


# Server tools


def _web_search(body: Json, _number: int | None) -> Plan:
    return _use_server_tool(body, "web_search", {"query": _query(last_words(body))})


def _web_fetch(body: Json, _number: int | None) -> Plan:
    match = _FETCH.search(last_words(body))
    return _use_server_tool(body, "web_fetch", {"url": match[1] if match else "https://example.com/"})


def _code(body: Json, _number: int | None) -> Plan:
    return _use_server_tool(body, "code_execution", CODE)


def _file(body: Json, _number: int | None) -> Plan:
    """Make a file, as code in Bash does."""
    if not _offers(body, "code_execution"):
        return _conclude(body, "This request has no code_execution tool, so I cannot make a file.")
    match = _FILE.search(last_words(body))
    made = make_file(match[1] if match else "")
    draft = begin(body)
    call = _call_server_tool(draft, "bash_code_execution", {"command": f"make {made.filename}"})
    output = {"type": "bash_code_execution_output", "file_id": made.file_id}
    result = {"type": "bash_code_execution_result", "stdout": "", "stderr": "", "return_code": 0, "content": [output]}
    kind = SERVER_RESULTS["bash_code_execution"]
    draft.add({"type": kind, "tool_use_id": call["id"], "content": result}, SERVER_TOOL_DELAY)
    draft.say(f"I made the file {made.filename}.")
    return draft.plan(container=_container(body), files=[made])


def _pause(body: Json, _number: int | None) -> Plan:
    if not _offers(body, "web_search"):
        return _conclude(body, "This request has no web_search tool, so there is no reason to pause.")
    draft = begin(body)
    _call_server_tool(draft, "web_search", {"query": _query(last_words(body))})
    return draft.plan("pause_turn")


def _use_server_tool(body: Json, name: str, input: Json) -> Plan:
    if not _offers(body, name):
        return _conclude(body, f"This request has no {name} tool, so I cannot use it.")
    draft = begin(body)
    return _finish(body, draft, [_call_server_tool(draft, name, input)])


def _resume(body: Json, waiting: Sequence[Json]) -> Plan:
    """Continue a turn that was paused, or whose server tools waited for the results of client tools."""
    return _finish(body, Draft(body["max_tokens"]), waiting)


def _call_server_tool(draft: Draft, name: str, input: Json) -> Json:
    block: Json = {"type": "server_tool_use", "id": f"srvtoolu_{uuid.uuid4().hex[:24]}", "name": name}
    draft.call(block, json.dumps(input), input)
    return {**block, "input": input}


def _finish(body: Json, draft: Draft, calls: Sequence[Json]) -> Plan:
    """Add the results of server tools, and end the turn with text."""
    for call in calls:
        result = {"type": SERVER_RESULTS[call["name"]], "tool_use_id": call["id"], "content": _content(body, call)}
        draft.add(result, SERVER_TOOL_DELAY)
    texts = [_server_tool_text(call) for call in calls] or ["I continue after a pause."]
    names = [call["name"] for call in calls]
    schema = schema_in(body)
    if schema is not None:
        draft.say(json.dumps(example(schema, schema), indent=2))
    else:
        citations = [citation_of(body, call) for call in calls if call["name"] == "web_search"]
        draft.say(" ".join([*texts, describe_results(body)]).strip(), *citations)
    fields: Json = {}
    counts = {f"{name}_requests": names.count(name) for name in ("web_search", "web_fetch")}
    if any(counts.values()):
        fields["server_tool_use"] = counts
    if "code_execution" in names:
        fields["container"] = _container(body)
    return draft.plan(**fields)


def _content(body: Json, call: Json) -> Any:
    """Return the result of a call of a server tool."""
    match call["name"]:
        case "web_search":
            return found_pages(body, call)
        case "web_fetch":
            return fetched_page(body, call)
        case "code_execution":
            printed = {"stdout": "42\n", "stderr": "", "return_code": 0}
            return {"type": "code_execution_result", **printed, "content": []}
        case name:
            return {"type": f"{SERVER_RESULTS[name]}_error", "error_code": "unavailable"}


def _server_tool_text(call: Json) -> str:
    match call["name"]:
        case "web_search":
            return f"I found two pages about “{call['input'].get('query', QUERY)}”."
        case "web_fetch":
            return f"I have asked for the page {call['input'].get('url')}."
        case "code_execution":
            return "The code printed 42."
        case name:
            return f"The tool {name} is not available."


def _query(message: str) -> str:
    match = _SEARCH.search(message)
    return (match[1] or "").strip() or QUERY if match else QUERY


def _container(body: Json) -> Json:
    container: str | Json = body.get("container") or {}
    container_id = container if isinstance(container, str) else container.get("id")
    expires_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    return {"id": container_id or f"container_{uuid.uuid4().hex[:24]}", "expires_at": expires_at}


TOOL_SCENARIOS: dict[str, Callable[[Json, int | None], Plan]] = {
    "tool-use": _tool_use,
    "break-tool": _tool_use,
    "call": _call,
    "tool-search": _tool_search,
    "rounds": _rounds,
    "remember": _remember,
    "recall": _recall,
    "web-search": _web_search,
    "web-fetch": _web_fetch,
    "code": _code,
    "file": _file,
    "pause": _pause,
}
