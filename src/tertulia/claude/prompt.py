"""Build the request that asks Claude for an answer: pure, from the branch that leads to it.

The rules of replay are those of the Messages API: blocks go back byte for byte; blocks that were cut off, and turns
that are empty, would be refused and are left out; thinking is bound to its model, system prompt and tools.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from tertulia.claude.compaction import Compaction
from tertulia.claude.output_schema import output_format
from tertulia.db.tables import Role
from tertulia.json import Json

DEFAULT_MAX_TOKENS = 32_000
MIN_BUDGET_TOKENS = 1024
"""The least that the API takes as a budget for thinking."""
THINKING = ("thinking", "redacted_thinking")
SUMMARY = "compaction"
ATTACHED = ("image", "document")
ALL_FORMS = frozenset({"adaptive", "between_tools", "disabled", "enabled"})
GIVEN = ("tool_result", *ATTACHED)
"""Kinds of blocks that tools give in an answer."""
OF_CALL = "of"
"""The key of ours by which a picture that a tool gave names its call."""
OURS = ("partial", "json", "is_json")
"""Keys of stored blocks that are not Claude's."""
SHOWN: Json = {"type": "adaptive", "display": "summarized"}
REMOVED_TOOL: Json = {"description": "This tool was removed and cannot be called.", "input_schema": {"type": "object"}}
"""Declares a tool that the conversation has called and no longer has."""


class LeftOut(StrEnum):
    """Why blocks of earlier messages were not sent to Claude."""

    THINKING_OF_ANOTHER_PREFIX = "thinking_of_another_prefix"
    THINKING_REFUSED = "thinking_refused"
    UNFINISHED = "unfinished"
    REFUSED = "refused"
    ATTACHMENT_REFUSED = "attachment_refused"
    SUMMARY_OF_ANOTHER_MODEL = "summary_of_another_model"


def prefix_fingerprint(model: str, system_prompt: str | None, tools: Sequence[Json] = ()) -> str:
    """Name what Claude binds its thinking to, besides the messages themselves."""
    bound = [model, system_prompt, *([list(tools)] if tools else [])]
    return hashlib.sha256(json.dumps(bound).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Turn:
    """A message of the history, as Claude is sent it.

    Attributes:
        role: `user` or `assistant`.
        blocks: Its content, as the Messages API has it.
        written_with: The `prefix_fingerprint` of the generation that wrote it; None for a user's.
    """

    role: str
    blocks: list[Json]
    written_with: str | None = None


def build_request(
    *,
    model: str,
    max_output_tokens: int | None,
    system_prompt: str | None,
    options: Json,
    forms: frozenset[str] | None,
    turns: Iterable[Turn],
    tools: Sequence[Json] = (),
    compaction: Compaction | None = None,
) -> tuple[Json, Counter[LeftOut]]:
    """Give the body of `POST /v1/messages`, and how many blocks of earlier messages are not in it, by reason.

    `forms`: those of thinking that the model takes, None where that is not known.
    `turns`: oldest first.
    `compaction`: None for a model that cannot compact.
    """
    prefix = prefix_fingerprint(model, system_prompt, tools)
    request: Json = {"model": model, "max_tokens": max_tokens(options, max_output_tokens)}
    if system_prompt:
        request["system"] = system_prompt
    thinking = _thinking(options.get("thinking"), forms, request["max_tokens"])
    if thinking is not None:
        request["thinking"] = thinking
    if output_config := _output_config(options):
        request["output_config"] = output_config
    left_out: Counter[LeftOut] = Counter()
    messages = [
        (
            turn.role,
            _replayable(_without_citations(turn.blocks, options), left_out, keep_thinking=turn.written_with == prefix),
        )
        for turn in turns
    ]
    if compaction is None:
        messages = [(role, _without_summaries(blocks, left_out)) for role, blocks in messages]
    elif compaction.is_near or any(block.get("type") == SUMMARY for _, blocks in messages for block in blocks):
        request |= compaction.fields
    request["messages"] = _answered([part for role, content in messages for part in rounds(role, content)])
    if tools:
        request["tools"] = list(tools)
    elif removed := _removed_tools(request["messages"]):
        request |= {"tools": removed, "tool_choice": {"type": "none"}}
    return request, +left_out


def _removed_tools(messages: Sequence[Json]) -> list[Json]:
    """Declare the tools that were called: the API refuses calls in a request that declares no tool."""
    called = {block["name"] for message in messages for block in message["content"] if block["type"] == "tool_use"}
    return [{"name": name, **REMOVED_TOOL} for name in sorted(called)]


def rounds(role: str, content: Sequence[Json]) -> list[Json]:
    """Give a stored message as the API has it: what tools gave in an answer are messages of the user's there."""
    if role == Role.USER:
        return [{"role": role, "content": list(content)}] if content else []
    found: list[Json] = []
    for given, blocks in groupby(content, lambda block: block.get("type") in GIVEN):
        # The results stand in front, and the pictures of all of them behind.
        ordered = sorted(blocks, key=lambda block: given and block["type"] != "tool_result")
        found.append({"role": "user" if given else role, "content": ordered})
    return found


def with_pictures(request: Json) -> Json:
    """Give the request with pictures that tools gave inside of their results, where the API has them."""
    return {**request, "messages": [_with_pictures(message) for message in request["messages"]]}


def _with_pictures(message: Json) -> Json:
    content: list[Json] = message["content"]
    given = [block for block in content if OF_CALL in block]
    if not given:
        return message
    found: list[Json] = []
    for block in (block for block in content if OF_CALL not in block):
        mine = [one for one in given if one[OF_CALL] == block.get("tool_use_id")]
        own = [{key: value for key, value in one.items() if key != OF_CALL} for one in mine]
        told = {"content": [{"type": "text", "text": block["content"]}, *own]} if own else {}
        found.append({**block, **told})
    return {**message, "content": found}


def go_on(request: Json, content: Sequence[Json]) -> Json:
    """Give the request that goes on behind what an answer has written so far, the results of its tools included."""
    written = _replayable(list(content), Counter(), keep_thinking=True)
    return {**request, "messages": [*request["messages"], *rounds(Role.ASSISTANT, written)]}


def without_thinking(request: Json) -> tuple[Json, int]:
    """Give the request without the thinking of earlier turns, which may all go, but never some; and their number."""
    kept: list[Json] = []
    for message in request["messages"]:
        content = [block for block in message["content"] if block["type"] not in THINKING]
        if content:
            kept.append({**message, "content": content})
    count = sum(len(message["content"]) for message in request["messages"])
    return {**request, "messages": kept}, count - sum(len(message["content"]) for message in kept)


def without_earlier_attachments(request: Json) -> tuple[Json, int]:
    """Give the request with words in place of all attachments but the last message's; and their number."""
    *earlier, last = request["messages"]
    count = sum(block["type"] in ATTACHED for message in earlier for block in message["content"])
    spoken = [{**message, "content": [_spoken(block) for block in message["content"]]} for message in earlier]
    return {**request, "messages": [*spoken, last]}, count


def _without_summaries(blocks: list[Json], left_out: Counter[LeftOut]) -> list[Json]:
    # What they sum up still stands in front of them.
    kept = [block for block in blocks if block.get("type") != SUMMARY]
    left_out[LeftOut.SUMMARY_OF_ANOTHER_MODEL] += len(blocks) - len(kept)
    return kept


def _output_config(options: Json) -> Json:
    effort = {"effort": options["effort"]} if options.get("effort") is not None else {}
    schema = options.get("output_schema")
    return effort if schema is None else {**effort, "format": output_format(schema)}


def _without_citations(blocks: list[Json], options: Json) -> list[Json]:
    # The API cites in prose alone, and refuses to do both.
    if options.get("output_schema") is None:
        return blocks
    return [{key: value for key, value in block.items() if key != "citations"} for block in blocks]


def _spoken(block: Json) -> Json:
    if block["type"] not in ATTACHED:
        return block
    return {"type": "text", "text": f"[Left out, because it could not be read: {block.get('title', 'an image')}]"}


def _answered(messages: Sequence[Json]) -> list[Json]:
    """Let an error stand for each result that a tool never gave: the API refuses a call without one."""
    found: list[Json] = []
    waiting: list[str] = []
    for message in _merged(messages):
        given = {block.get("tool_use_id") for block in message["content"]}
        missing = [_not_run(id) for id in waiting if id not in given]
        if missing and message["role"] == "assistant":
            found.append({"role": "user", "content": missing})
            missing = []
        # Results stand in front of everything else that the user says.
        found.append({**message, "content": [*missing, *message["content"]]})
        waiting = [block["id"] for block in message["content"] if block.get("type") == "tool_use"]
    return found


def _merged(messages: Sequence[Json]) -> list[Json]:
    """Join results and the words that the user says behind them, as the API would: they are one message."""
    found: list[Json] = []
    for message in messages:
        before = found[-1]["content"][-1]["type"] if found else None
        if before in GIVEN and message["role"] == Role.USER == found[-1]["role"]:
            found.append({**message, "content": [*found.pop()["content"], *message["content"]]})
        else:
            found.append(message)
    return found


def _not_run(tool_use_id: str) -> Json:
    return {"type": "tool_result", "tool_use_id": tool_use_id, "content": "The tool was not run.", "is_error": True}


def max_tokens(options: Json, max_output_tokens: int | None) -> int:
    """Give the most tokens that an answer may have."""
    asked: int = options.get("max_tokens") or min(DEFAULT_MAX_TOKENS, max_output_tokens or DEFAULT_MAX_TOKENS)
    return asked


def thinking_off(forms: frozenset[str] | None) -> Json | None:
    """Give the form in which a model that takes these does not think; None where there is none, or nobody knows."""
    off = next((form for form in ("disabled", "between_tools") if form in (forms or ())), None)
    return {"type": off} if off else None


def _thinking(option: Json | None, forms: frozenset[str] | None, max_tokens: int) -> Json | None:
    """Choose the form: what was asked for as far as the model takes it, and shown in summary."""
    takes = forms if forms is not None else ALL_FORMS
    if option is None:
        # Said, because without a word newer models think and show nothing of it.
        return SHOWN if forms is not None and "adaptive" in forms else None
    if not option["enabled"]:
        return thinking_off(takes) or SHOWN
    budget: int | None = option.get("budget_tokens")
    if "enabled" in takes and (budget is not None or "adaptive" not in takes):
        return {"type": "enabled", "budget_tokens": budget or max(MIN_BUDGET_TOKENS, max_tokens // 2)}
    return SHOWN if "adaptive" in takes else None


def _replayable(blocks: list[Json], left_out: Counter[LeftOut], *, keep_thinking: bool) -> list[Json]:
    kept: list[Json] = []
    for block in blocks:
        kind = block.get("type")
        if kind == "text":
            if (block.get("text") or "").strip():
                kept.append(_theirs(block))
        elif block.get("partial"):
            left_out[LeftOut.UNFINISHED] += 1
        elif kind in THINKING and not keep_thinking:
            left_out[LeftOut.THINKING_OF_ANOTHER_PREFIX] += 1
        else:
            kept.append(_theirs(block))
    return kept if any(block.get("type") not in THINKING for block in kept) else []


def _theirs(block: Json) -> Json:
    return {key: value for key, value in block.items() if key not in OURS}
