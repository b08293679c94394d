"""What the simulated Claude says: readable answers that remember the conversation, and scenarios on demand.

A scenario is asked for in the message itself: `/simulate NAME [NUMBER]` (docs/simulator.md lists them).
"""

import hashlib
import json
import re
import textwrap
from collections.abc import Callable
from dataclasses import replace

from tertulia.json import Json
from tertulia.simulator.json_schema import example, schema_in
from tertulia.simulator.phrases import HELP, NOTE, OPENINGS, THOUGHTS
from tertulia.simulator.request_rules import as_blocks, signature
from tertulia.simulator.script import TOKEN, Draft, Failure, Plan, Step, delta, speak, text_steps
from tertulia.simulator.tools import TOOL_SCENARIOS, act, told_of
from tertulia.simulator.turns import last_words, what_was_said


def plan(body: Json) -> Plan:
    """Decide what a checked request gets."""
    said = last_words(body)
    if _asks_for_title(body):
        return speak(body, _title(said))
    acted = act(body)
    if acted is not None:
        return acted
    asked = re.search(r"/simulate\s+([a-z-]+)(?:\s+(\d+))?", said)
    schema = schema_in(body)
    if schema is not None:
        return speak(body, json.dumps(example(schema, schema), indent=2))
    if asked is None:
        return _on_results(body, said) or _look(body) or speak(body, _answer(body, said))
    scenario = SCENARIOS.get(asked[1])
    if scenario is None:
        return speak(body, HELP)
    return scenario(body, int(asked[2]) if asked[2] else None)


def _asks_for_title(body: Json) -> bool:
    system = " ".join(block["text"] for block in as_blocks(body.get("system") or []))
    return "Give a title" in system


def _title(said: str) -> str:
    words = re.sub(r"^.*?user:|assistant:.*", "", said, flags=re.DOTALL).split()[:6]
    return " ".join(words).rstrip(".,:;!?") or "A conversation"


def _on_results(body: Json, said: str) -> Plan | None:
    """Tell what tools gave, and answer what the user says besides; None where the last turn has no result."""
    told = told_of(body)
    if not told:
        return None
    return speak(body, f"{told}\n\n{_answer(body, said)}" if said.strip() else told)


def _answer(body: Json, said: str) -> str:
    earlier = what_was_said(body)[:-1]
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


def _look(body: Json) -> Plan | None:
    """Say what the last message shows, and quote its documents with citations; None where it shows nothing."""
    shown = [block for block in as_blocks(body["messages"][-1]["content"]) if block["type"] in ("image", "document")]
    if not shown:
        return None
    spoken = speak(body, "I see " + " and ".join(_seen(block) for block in shown) + ". " + NOTE)
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
        opened, *rest, closed = text_steps(index, f" It begins: “{words}”")
        steps = [*spoken.steps, opened, Step(delta(index, {"type": "citations_delta", "citation": citation}))]
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
    return replace(speak(body, "Sorry to keep you waiting. " + NOTE), first_delay=float(seconds or 5))


def _long(body: Json, words: int | None) -> Plan:
    return speak(body, " ".join(f"word{number}" for number in range(1, (words or 500) + 1)) + ".")


def _thinking(body: Json, _number: int | None) -> Plan:
    thought = "The user wants to see me think. I will count to three, then answer."
    draft = Draft(body["max_tokens"])
    draft.think(thought, signature(body, thought))
    draft.say("I thought about it, and here is my answer: three.")
    return draft.plan()


def _rate_limit(_body: Json, seconds: int | None) -> Plan:
    words = "This request would exceed your organization's rate limit."
    return Plan(failure=Failure(429, "rate_limit_error", words, retry_after=30 if seconds is None else seconds))


def _overloaded(body: Json, times: int | None) -> Plan:
    return replace(speak(body, "It worked after all."), failure=Failure(529, "overloaded_error", "Overloaded", times))


def _server_error(body: Json, times: int | None) -> Plan:
    failure = Failure(500, "api_error", "Internal server error", times)
    return replace(speak(body, "It worked after all."), failure=failure)


def _half(body: Json) -> tuple[Plan, list[Step]]:
    whole = speak(body, "This answer begins as every other, but it will never come to its end, because …")
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
    return replace(speak(body, "I would rather not."), stop_reason="refusal", stop_details=details)


def _max_tokens(body: Json, tokens: int | None) -> Plan:
    return _long({**body, "max_tokens": min(tokens or 20, body["max_tokens"])}, 500)


def _unicode(body: Json, _number: int | None) -> Plan:
    return speak(body, "😀 Grüße! 你好 👩‍👩‍👧‍👦 𝄞 مرحبا 🏳️‍🌈 — naïve café. " * 3)


def _markdown(body: Json, _number: int | None) -> Plan:
    table = "| a | b |\n| - | - |\n| 1 | 2 |"
    return speak(body, f"# Title\n\nA *list*:\n\n- one\n- **two**\n\n{table}\n\n```sql\nSELECT 1;\n```\n\n> Quoted.")


SCENARIOS: dict[str, Callable[[Json, int | None], Plan]] = {
    "slow-start": _slow_start,
    "long": _long,
    "thinking": _thinking,
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
    **TOOL_SCENARIOS,
}
