"""What the simulated Claude says: readable answers that remember the conversation, and scenarios on demand.

A scenario is asked for in the message itself: `/simulate NAME [NUMBER]` (docs/simulator.md lists them).
"""

import hashlib
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from claude.simulator_json import example, schema_in
from claude.simulator_rules import as_blocks, signature
from claude.simulator_words import HELP, NOTE, OPENINGS, THOUGHTS

Json = dict[str, Any]

FIRST_TOKEN = 0.4
"""Seconds at human pace."""
TOKEN = 0.025


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a stream, after a delay; `raw`, `cut` and `hang` stand in for one."""

    event: Json = field(default_factory=dict[str, Any])
    delay: float = 0.0
    cut: bool = False
    hang: bool = False
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer with a status of failure, always or the first few times."""

    status: int
    kind: str
    message: str
    times: int | None = None
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that one request gets."""

    blocks: list[Json] = field(default_factory=list[Json])
    steps: list[Step] = field(default_factory=list[Step])
    first_delay: float = FIRST_TOKEN
    stop_reason: str = "end_turn"
    stop_sequence: str | None = None
    stop_details: Json | None = None
    output_tokens: int = 1
    breaks_off: bool = False
    failure: Failure | None = None


def plan(body: Json) -> Plan:
    """Decide what a checked request gets."""
    said = last_words(body)
    if _asks_for_title(body):
        return _speak(body, _title(said))
    asked = re.search(r"/simulate\s+([a-z-]+)(?:\s+(\d+))?", said)
    schema = schema_in(body)
    if schema is not None:
        return _speak(body, json.dumps(example(schema, schema), indent=2))
    if asked is None:
        return _look(body) or _speak(body, _answer(body, said))
    scenario = SCENARIOS.get(asked[1])
    if scenario is None:
        return _speak(body, HELP)
    return scenario(body, int(asked[2]) if asked[2] else None)


def _asks_for_title(body: Json) -> bool:
    system = " ".join(block["text"] for block in as_blocks(body.get("system") or []))
    return "Give a title" in system


def _title(said: str) -> str:
    words = re.sub(r"^.*?user:|assistant:.*", "", said, flags=re.DOTALL).split()[:6]
    return " ".join(words).rstrip(".,:;!?") or "A conversation"


def last_words(body: Json) -> str:
    """Give the text of the latest message."""
    return _words_of(body["messages"][-1])


def _words_of(message: Json) -> str:
    return " ".join(block["text"] for block in as_blocks(message["content"]) if block["type"] == "text")


def _answer(body: Json, said: str) -> str:
    earlier = [_words_of(message) for message in body["messages"] if message["role"] == "user"][:-1]
    if re.search(r"\bmy name\b", said, re.IGNORECASE) and "?" in said:
        return _recall_name(earlier)
    if re.search(r"(what did i|what have i|do you remember|said first|first message)", said, re.IGNORECASE):
        return (
            f"The first thing that you said was: “{earlier[0]}”." if earlier else "You have said nothing before this."
        )
    choice = int(hashlib.sha256("\n".join([*earlier, said]).encode()).hexdigest(), 16)
    opening = OPENINGS[choice % len(OPENINGS)]
    thought = THOUGHTS[choice // 7 % len(THOUGHTS)]
    shown = textwrap.shorten(said, 80, placeholder=" …")
    turn = f" This is turn {len(earlier) + 1} of our conversation." if earlier else ""
    return f"{opening} You wrote: “{shown}”.{turn}\n\n{thought}\n\n{NOTE}"


def _recall_name(earlier: list[str]) -> str:
    for words in reversed(earlier):
        found = re.search(r"\b(?:my name is|i am|i'm|call me)\s+([^\s.,!?]+)", words, re.IGNORECASE)
        if found:
            return f"Your name is {found[1]}."
    return "You have not told me your name yet."


def pieces(text: str) -> list[str]:
    """Cut a text into what stands for its tokens."""
    return re.findall(r"\s*\S{1,12}|\s+", text)


def _text_steps(index: int, text: str) -> Iterator[Step]:
    yield Step(_start(index, {"type": "text", "text": ""}))
    for piece in pieces(text):
        yield Step(_delta(index, {"type": "text_delta", "text": piece}), TOKEN)
    yield Step({"type": "content_block_stop", "index": index})


def _start(index: int, block: Json) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _delta(index: int, delta: Json) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _speak(body: Json, text: str) -> Plan:
    stop_reason, stop_sequence = "end_turn", None
    sequences: list[str] = body.get("stop_sequences") or []
    for sequence in sequences:
        if sequence in text:
            text, stop_reason, stop_sequence = text[: text.index(sequence)], "stop_sequence", sequence
    cut = pieces(text)
    if len(cut) > body["max_tokens"]:
        text, stop_reason, stop_sequence = "".join(cut[: body["max_tokens"]]), "max_tokens", None
    return Plan(
        blocks=[{"type": "text", "text": text}],
        steps=list(_text_steps(0, text)),
        stop_reason=stop_reason,
        stop_sequence=stop_sequence,
        output_tokens=max(1, len(pieces(text))),
    )


def _look(body: Json) -> Plan | None:
    """Say what the last message shows, and quote its documents with citations; None where it shows nothing."""
    shown = [block for block in as_blocks(body["messages"][-1]["content"]) if block["type"] in ("image", "document")]
    if not shown:
        return None
    spoken = _speak(body, "I see " + " and ".join(_seen(block) for block in shown) + ". " + NOTE)
    quoted = [block for block in shown if block["source"]["words"] and _cites(block)]
    for number, block in enumerate(quoted):
        index = len(spoken.blocks)
        words = block["source"]["words"]
        citation = {
            "type": "page_location",
            "cited_text": words,
            "document_index": number,
            "document_title": block.get("title"),
            "start_page_number": 1,
            "end_page_number": 2,
        }
        opened, *rest, closed = _text_steps(index, f" It begins: “{words}”")
        steps = [*spoken.steps, opened, Step(_delta(index, {"type": "citations_delta", "citation": citation}))]
        text = {"type": "text", "text": f" It begins: “{words}”", "citations": [citation]}
        spoken = replace(spoken, blocks=[*spoken.blocks, text], steps=[*steps, *rest, closed])
    return spoken


def _cites(block: Json) -> bool:
    citations: Json = block.get("citations") or {}
    return bool(citations.get("enabled"))


def _seen(block: Json) -> str:
    width, height, pages = block["source"]["size"]
    if block["type"] == "image":
        return f"an image of {width} x {height} pixels"
    return f"a document of {pages} {'page' if pages == 1 else 'pages'}, “{block.get('title') or 'without a title'}”"


def _slow_start(body: Json, seconds: int | None) -> Plan:
    return replace(_speak(body, "Sorry to keep you waiting. " + NOTE), first_delay=float(seconds or 5))


def _long(body: Json, words: int | None) -> Plan:
    return _speak(body, " ".join(f"word{number}" for number in range(1, (words or 500) + 1)) + ".")


def _thinking(body: Json, _number: int | None) -> Plan:
    thought = "The user wants to see me think. I will count to three, then answer."
    spoken = _speak(body, "I thought about it, and here is my answer: three.")
    text = spoken.blocks[0]["text"]
    signed = signature(body, thought)
    steps = [Step(_start(0, {"type": "thinking", "thinking": "", "signature": ""}))]
    steps += [Step(_delta(0, {"type": "thinking_delta", "thinking": piece}), TOKEN) for piece in pieces(thought)]
    steps += [Step(_delta(0, {"type": "signature_delta", "signature": signed}))]
    steps += [Step({"type": "content_block_stop", "index": 0}), *_text_steps(1, text)]
    blocks = [{"type": "thinking", "thinking": thought, "signature": signed}, *spoken.blocks]
    return replace(spoken, blocks=blocks, steps=steps)


def _tool_use(body: Json, _number: int | None) -> Plan:
    offered: list[Json] = body.get("tools") or []
    tools = [tool for tool in offered if "input_schema" in tool]
    if not tools:
        return _speak(body, "There are no tools in this request, so there is nothing that I could call.")
    properties: Json = tools[0]["input_schema"].get("properties") or {}
    arguments = ", ".join(f'"{name}": {json.dumps(example(shape, shape))}' for name, shape in properties.items())
    text = "{" + arguments + "}"
    call_id = hashlib.sha256(repr(body["messages"]).encode()).hexdigest()[:24]
    call: Json = {"type": "tool_use", "id": f"toolu_{call_id}", "name": tools[0]["name"], "input": {}}
    steps = [Step(_start(0, call)), Step(_delta(0, {"type": "input_json_delta", "partial_json": ""}))]
    steps += [Step(_delta(0, {"type": "input_json_delta", "partial_json": p}), TOKEN) for p in pieces(text)]
    steps += [Step({"type": "content_block_stop", "index": 0})]
    blocks = [{**call, "input": json.loads(text)}]
    return Plan(blocks=blocks, steps=steps, stop_reason="tool_use", output_tokens=len(pieces(text)) or 1)


def _rate_limit(_body: Json, seconds: int | None) -> Plan:
    words = "This request would exceed your organization's rate limit."
    return Plan(failure=Failure(429, "rate_limit_error", words, retry_after=30 if seconds is None else seconds))


def _overloaded(body: Json, times: int | None) -> Plan:
    return replace(_speak(body, "It worked after all."), failure=Failure(529, "overloaded_error", "Overloaded", times))


def _server_error(body: Json, times: int | None) -> Plan:
    failure = Failure(500, "api_error", "Internal server error", times)
    return replace(_speak(body, "It worked after all."), failure=failure)


def _half(body: Json) -> tuple[Plan, list[Step]]:
    whole = _speak(body, "This answer begins as every other, but it will never come to its end, because …")
    return whole, whole.steps[: len(whole.steps) // 2]


def _error(body: Json, _number: int | None) -> Plan:
    whole, half = _half(body)
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    return replace(whole, steps=[*half, Step(error, TOKEN)], breaks_off=True)


def _cut(body: Json, _number: int | None) -> Plan:
    whole, half = _half(body)
    return replace(whole, steps=[*half, Step(delay=TOKEN, cut=True)])


def _no_stop(body: Json, _number: int | None) -> Plan:
    whole, half = _half(body)
    return replace(whole, steps=half, breaks_off=True)


def _garbage(body: Json, _number: int | None) -> Plan:
    whole, half = _half(body)
    return replace(whole, steps=[*half, Step(raw='event: content_block_delta\ndata: {"type": "conte\n\n', delay=TOKEN)])


def _hang(body: Json, _number: int | None) -> Plan:
    whole, half = _half(body)
    return replace(whole, steps=[*half, Step(hang=True)])


def _refusal(body: Json, _number: int | None) -> Plan:
    details = {"type": "refusal", "category": "general_harms", "explanation": "The request was declined."}
    return replace(_speak(body, "I would rather not."), stop_reason="refusal", stop_details=details)


def _max_tokens(body: Json, tokens: int | None) -> Plan:
    return _long({**body, "max_tokens": min(tokens or 20, body["max_tokens"])}, 500)


def _unicode(body: Json, _number: int | None) -> Plan:
    return _speak(body, "😀 Grüße! 你好 👩‍👩‍👧‍👦 𝄞 مرحبا 🏳️‍🌈 — naïve café. " * 3)


def _markdown(body: Json, _number: int | None) -> Plan:
    table = "| a | b |\n| - | - |\n| 1 | 2 |"
    return _speak(body, f"# Title\n\nA *list*:\n\n- one\n- **two**\n\n{table}\n\n```sql\nSELECT 1;\n```\n\n> Quoted.")


SCENARIOS: dict[str, Callable[[Json, int | None], Plan]] = {
    "slow-start": _slow_start,
    "long": _long,
    "thinking": _thinking,
    "tool-use": _tool_use,
    "rate-limit": _rate_limit,
    "overloaded": _overloaded,
    "server-error": _server_error,
    "error": _error,
    "cut": _cut,
    "no-stop": _no_stop,
    "garbage": _garbage,
    "hang": _hang,
    "refusal": _refusal,
    "max-tokens": _max_tokens,
    "unicode": _unicode,
    "markdown": _markdown,
}
