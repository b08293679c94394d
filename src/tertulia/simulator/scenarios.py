"""The simulated Claude's answers, which refer to the conversation, and its scenarios.

A message requests a scenario with `/simulate NAME [NUMBER]`. docs/simulator.md lists them.
"""

import hashlib
import json
import re
import textwrap
from collections.abc import Callable
from dataclasses import replace

from tertulia.json import Json
from tertulia.simulator.breaks import BREAKS, broken_text
from tertulia.simulator.json_schema import example, schema_in
from tertulia.simulator.phrases import HELP, MATH, NOTE, OPENINGS, THOUGHT_ABOUT_BREAK, THOUGHTS
from tertulia.simulator.request_rules import as_blocks, cites
from tertulia.simulator.script import Draft, Failure, Plan, Step, delta, speak, text_steps
from tertulia.simulator.search_results import cited, new_results
from tertulia.simulator.tools import TOOL_SCENARIOS, act, begin, describe_results
from tertulia.simulator.turns import app_context, last_words, user_texts

_REFUSAL = re.compile(r"/simulate\s+refusal\b(?:\s+\d+)?(?:\s+(?P<model>claude-[a-z0-9-]+))?")
MAX_EXCERPT = 200
"""The number of characters of a document that the answer quotes."""
MAX_CONTEXT = 500
"""The number of characters of the application's context that the answer quotes."""


def uninterrupted(body: Json) -> Plan:
    """Return the answer to the last message of a valid request, without breaks."""
    text = last_words(body)
    if asks_for_title(body):
        return speak(body, _title(text))
    if any(_refuses(body, earlier) for earlier in user_texts(body)[:-1]):
        # As the real API, until the refused message is removed.
        return refuse("The conversation contains a message that was declined.")
    return (
        act(body)
        or _structured(body)
        or _requested(body, text)
        or _answer_results(body, text)
        or _describe_media(body)
        or _cite_results(body)
        or speak(body, _answer(body, text))
    )


def _structured(body: Json) -> Plan | None:
    schema = schema_in(body)
    return None if schema is None else speak(body, json.dumps(example(schema, schema), indent=2))


def _requested(body: Json, text: str) -> Plan | None:
    """Return the answer of the scenario that the user requests, or None if there is none."""
    commands = list(re.finditer(r"/simulate\s+([a-z-]+)(?:\s+(\d+))?", text))
    if not commands:
        return None
    # A break of another scenario breaks that scenario's answer. Together with `thinking`, thinking precedes the text.
    breaks = broken_text(body) is not None
    others = [command for command in commands if not breaks or command[1] not in (*BREAKS, "thinking")]
    if breaks and not others:
        return begin(body, THOUGHT_ABOUT_BREAK).plan()
    scenario = SCENARIOS.get(others[0][1])
    return scenario(body, int(others[0][2]) if others[0][2] else None) if scenario else speak(body, HELP)


def asks_for_title(body: Json) -> bool:
    """Return whether a request asks for a title of a conversation."""
    system = " ".join(block["text"] for block in as_blocks(body.get("system") or []))
    return re.search(r"\bwrite a title\b", system, re.IGNORECASE) is not None


def _title(prompt: str) -> str:
    words = re.sub(r"^.*?user:|assistant:.*", "", prompt, flags=re.DOTALL).split()[:6]
    return " ".join(words).rstrip(".,:;!?") or "A conversation"


def _answer_results(body: Json, text: str) -> Plan | None:
    """Describe the tool results and answer the user's text. Return None if the last turn has no results."""
    description = describe_results(body)
    if not description:
        return None
    answer = speak(body, f"{description}\n\n{_answer(body, text)}" if text.strip() else description)
    return cited(answer, new_results(body))


def _answer(body: Json, text: str) -> str:
    earlier = user_texts(body)[:-1]
    if re.search(r"\bmy name\b", text, re.IGNORECASE) and "?" in text:
        return _recall_name(earlier)
    if re.search(r"(what did i|what have i|do you remember|said first|first message)", text, re.IGNORECASE):
        return f"The first thing that you said was: “{earlier[0]}”." if earlier else "This is your first message."
    choice = int(hashlib.sha256("\n".join([*earlier, text]).encode()).hexdigest(), 16)
    opening = OPENINGS[choice % len(OPENINGS)]
    thought = THOUGHTS[choice // 7 % len(THOUGHTS)]
    quote = textwrap.shorten(text, 80, placeholder=" …")
    turn = f" This is turn {len(earlier) + 1} of our conversation." if earlier else ""
    context = textwrap.shorten(app_context(body), MAX_CONTEXT, placeholder=" …")
    known = f" The application says: `{context}`." if context else ""
    return f"{opening} You wrote: “{quote}”.{turn}{known}\n\n{thought}\n\n{NOTE}"


def _recall_name(earlier: list[str]) -> str:
    for text in reversed(earlier):
        match = re.search(r"\b(?:my name is|i am|i'm|call me)\s+([^\s.,!?]+)", text, re.IGNORECASE)
        if match:
            return f"Your name is {match[1]}."
    return "You have not told me your name yet."


def _describe_media(body: Json) -> Plan | None:
    """Describe the images and documents of the last message, and cite the documents. Return None if it has none."""
    media = [block for block in as_blocks(body["messages"][-1]["content"]) if block["type"] in ("image", "document")]
    if not media:
        return None
    answer = speak(body, "I see " + " and ".join(_describe(block) for block in media) + ". " + NOTE)
    quoted = [block for block in media if block["source"]["words"] and cites(block)]
    documents = [block for message in body["messages"] for block in as_blocks(message["content"])]
    numbers = [id(block) for block in documents if block["type"] == "document"]
    for block in quoted:
        index = len(answer.blocks)
        cited = block["source"]["words"]
        excerpt = textwrap.shorten(cited, MAX_EXCERPT, placeholder=" …")
        citation = {
            "cited_text": cited,
            "document_index": numbers.index(id(block)),
            "document_title": block.get("title"),
            **block["source"]["location"],
        }
        start_step, *delta_steps, stop_step = text_steps(index, f" It begins: “{excerpt}”")
        steps = [*answer.steps, start_step, Step(delta(index, {"type": "citations_delta", "citation": citation}))]
        text = {"type": "text", "text": f" It begins: “{excerpt}”", "citations": [citation]}
        answer = replace(answer, blocks=[*answer.blocks, text], steps=[*steps, *delta_steps, stop_step])
    return answer


def _cite_results(body: Json) -> Plan | None:
    """Quote the search results of the last message, and cite them. Return None if it has none."""
    results = new_results(body)
    answer = cited(speak(body, f"I found {len(results)} sources. {NOTE}"), results)
    return answer if len(answer.blocks) > 1 else None


def _describe(block: Json) -> str:
    size = block["source"]["size"]
    if len(size) == 1:
        return f"a document of {size[0]:,} characters, “{block.get('title') or 'without a title'}”"
    width, height, pages = size
    if block["type"] == "image":
        return f"an image of {width} x {height} pixels"
    return f"a document of {pages} {'page' if pages == 1 else 'pages'}, “{block.get('title') or 'without a title'}”"


def _slow_start(body: Json, seconds: int | None) -> Plan:
    return replace(speak(body, "Sorry to keep you waiting. " + NOTE), first_delay=float(seconds or 5))


def _long(body: Json, word_count: int | None) -> Plan:
    return speak(body, " ".join(f"word{number}" for number in range(1, (word_count or 500) + 1)) + ".")


def _thinking(body: Json, _number: int | None) -> Plan:
    thought = "The user wants to see how I think. I will count to three, then answer."
    draft = Draft(body["max_tokens"])
    draft.think(thought)
    draft.say("I have thought about it. My answer is: three.")
    return draft.plan()


def _rate_limit(_body: Json, seconds: int | None) -> Plan:
    message = "This request would exceed your organization's rate limit."
    return Plan(failure=Failure(429, "rate_limit_error", message, retry_after=30 if seconds is None else seconds))


def _near_limit(body: Json, seconds: int | None) -> Plan:
    return replace(speak(body, "That was the last request for now."), near_limit=1.0 if seconds is None else seconds)


def _spend_limit(_body: Json, _number: int | None) -> Plan:
    message = "You have reached your specified API usage limits."
    return Plan(failure=Failure(429, "rate_limit_error", message, code="enforced_spend_limit_reached"))


def _overloaded(body: Json, times: int | None) -> Plan:
    answer = speak(body, "It worked in the end.")
    model = re.search(r"/simulate\s+overloaded\s+(claude-[a-z0-9-]+)", last_words(body))
    if model is not None and model[1] != body["model"]:
        return answer
    return replace(answer, failure=Failure(529, "overloaded_error", "Overloaded", times))


def _server_error(body: Json, times: int | None) -> Plan:
    failure = Failure(500, "api_error", "Internal server error", times)
    return replace(speak(body, "It worked in the end."), failure=failure)


def refuse(explanation: str) -> Plan:
    """Return an empty answer that ends with a refusal."""
    details = {"type": "refusal", "category": "general_harms", "explanation": explanation}
    return Plan(stop_reason="refusal", stop_details=details)


def _refuses(body: Json, text: str) -> bool:
    """Return whether the model refuses a message, which can name the only model that does."""
    command = _REFUSAL.search(text)
    return command is not None and command["model"] in (None, body["model"])


def _refusal(body: Json, words: int | None) -> Plan:
    text = last_words(body)
    if not _refuses(body, text):
        return speak(body, "I am glad to help.")
    refusal = refuse("The request was declined.")
    spoken = " ".join(["I", "would", "rather", "not."][:words])
    if not spoken:
        return refusal
    return replace(speak(body, spoken), stop_reason="refusal", stop_details=refusal.stop_details)


def _max_tokens(body: Json, tokens: int | None) -> Plan:
    return _long({**body, "max_tokens": min(tokens or 20, body["max_tokens"])}, 500)


def _unicode(body: Json, _number: int | None) -> Plan:
    return speak(body, "😀 Grüße! 你好 👩‍👩‍👧‍👦 𝄞 مرحبا 🏳️‍🌈 — naïve café. " * 3)


def _markdown(body: Json, _number: int | None) -> Plan:
    table = "| a | b |\n| - | - |\n| 1 | 2 |"
    return speak(body, f"# Title\n\nA *list*:\n\n- one\n- **two**\n\n{table}\n\n```sql\nSELECT 1;\n```\n\n> Quoted.")


def _repeat(body: Json, _number: int | None) -> Plan:
    return speak(body, last_words(body).partition("\n")[2].strip() or HELP)


def _math(body: Json, _number: int | None) -> Plan:
    return speak(body, MATH)


SCENARIOS: dict[str, Callable[[Json, int | None], Plan]] = {
    "slow-start": _slow_start,
    "long": _long,
    "thinking": _thinking,
    "rate-limit": _rate_limit,
    "near-limit": _near_limit,
    "spend-limit": _spend_limit,
    "overloaded": _overloaded,
    "server-error": _server_error,
    "refusal": _refusal,
    "max-tokens": _max_tokens,
    "unicode": _unicode,
    "markdown": _markdown,
    "math": _math,
    "repeat": _repeat,
    **TOOL_SCENARIOS,
}
