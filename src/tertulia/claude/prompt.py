"""Build the request for an answer from the branch that leads to it. This module does no I/O.

The rules are those of the Messages API. Earlier blocks are sent back unchanged. Unfinished blocks and empty turns are
left out, because the API would refuse them. Thinking is bound to its model, system prompt and tools.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import cast
from uuid import UUID

from tertulia.claude.compaction import Compaction
from tertulia.claude.continuation import ATTEMPT, THINKING, WRITTEN_BY, exchange, last_attempt
from tertulia.claude.output_schema import output_format
from tertulia.claude.repairs import ATTACHED, PLACE, LeftOut, place_of
from tertulia.claude.tool_choice import after_call, is_forced, tool_choice
from tertulia.claude.tool_search import REMOVED_TOOL, searches, with_found_tools, without_searches
from tertulia.db.tables import Role
from tertulia.json import Json

DEFAULT_MAX_TOKENS = 32_000
"""The maximum number of tokens of an answer, unless an option sets another, or the model's limit is lower."""
MIN_BUDGET_TOKENS = 1024
"""The smallest thinking budget that the API accepts."""
SUMMARY = "compaction"
FALLBACK = "fallback"
"""The type of the block that marks where a fallback model of the API has continued an answer."""
ALL_FORMS = frozenset({"adaptive", "between_tools", "disabled", "enabled"})
TOOL_OUTPUT = ("tool_result", *ATTACHED)
"""The types of blocks in an answer that are output of tools."""
PLAIN_KEYS = 2
"""The keys of a block that has only a text: `type` and `text`."""
OF_CALL = "of"
"""The key that Tertulia adds to a picture from a tool. Its value is the id of the call."""
FILTERED = "filtered"
"""The key of thinking, or of a summary, that the application has changed. Claude's API accepts only the original."""
OWN_KEYS = ("partial", "json", "is_json", FILTERED)
"""The keys that Tertulia adds to stored blocks, and that the Messages API does not know."""
SHOWN: Json = {"type": "adaptive", "display": "summarized"}

SystemPrompt = str | list[Json] | None
"""The system prompt of a request: a text, or text blocks."""


def system_prompt_of(blocks: Sequence[str]) -> SystemPrompt:
    """Return the system prompt of a request. If there are two blocks, Claude's cache can end after the first one."""
    if len(blocks) > 1:
        return [{"type": "text", "text": block} for block in blocks]
    return blocks[0] if blocks else None


def prefix_fingerprint(model: str, system_prompt: SystemPrompt, tools: Sequence[Json] = ()) -> str:
    """Return a fingerprint of everything that Claude's thinking is bound to, except the messages."""
    # Deferred tools are not part of the prompt until a search finds them.
    loaded = [tool for tool in tools if not tool.get("defer_loading")]
    bound = [model, system_prompt, *([loaded] if loaded else [])]
    return hashlib.sha256(json.dumps(bound).encode()).hexdigest()[:32]


def metadata_of(owner: UUID) -> Json:
    """Return the `metadata` of a request on behalf of a user: an opaque id, by which Anthropic can detect abuse.

    It is a hash of the id of the user's row, so it contains no personal data, and it is the same on every replica and
    after every restart. Source: `metadata.user_id` in the Claude API reference, at most 256 characters.
    """
    return {"user_id": hashlib.sha256(f"tertulia.user:{owner}".encode()).hexdigest()}


@dataclass(frozen=True, slots=True)
class Turn:
    """A message of the history.

    Attributes:
        role: `user` or `assistant`.
        blocks: Its content, in the Messages API's format.
        written_with: The `prefix_fingerprint` of the generation that wrote it; None for a user's message.
        depth: Its depth in the conversation's tree; None if requests need not name the places of its blocks.
        is_summary: Whether it is a summary on demand of all turns before it.
        writer: The fallback model whose thinking is sent; None for the thinking of the generation's model.
    """

    role: str
    blocks: list[Json]
    written_with: str | None = None
    depth: int | None = None
    is_summary: bool = False
    writer: str | None = None


def build_request(
    *,
    model: str,
    max_output_tokens: int | None,
    system_prompt: SystemPrompt,
    options: Json,
    forms: frozenset[str] | None,
    turns: Iterable[Turn],
    tools: Sequence[Json] = (),
    compaction: Compaction | None = None,
) -> tuple[Json, Counter[LeftOut]]:
    """Return the body of `POST /v1/messages`, and the numbers of earlier blocks that were left out, by reason.

    Args:
        model: The model's id.
        max_output_tokens: The model's limit; None if that is not known.
        system_prompt: The system prompt, if there is one.
        options: The options of the generation.
        forms: The types of thinking that the model supports; None if that is not known.
        turns: The messages, oldest first.
        tools: The definitions of the tools.
        compaction: The compaction settings; None for a model that does not support it.
    """
    prefix = prefix_fingerprint(model, system_prompt, tools)
    request: Json = {"model": model, "max_tokens": max_tokens(options, max_output_tokens)}
    if system_prompt:
        request["system"] = system_prompt
    thinking = _thinking(options, forms, request["max_tokens"])
    if thinking is not None:
        request["thinking"] = thinking
    if output_config := _output_config(options):
        request["output_config"] = output_config
    left_out: Counter[LeftOut] = Counter()
    messages: list[tuple[str, list[Json]]] = []
    for turn in turns:
        blocks, same_prefix = _without_citations(turn.blocks, options), turn.written_with == prefix
        sent = _replayable(blocks, left_out, same_prefix=same_prefix, writer=turn.writer, depth=turn.depth)
        messages.append((turn.role, sent))
    if not searches(tools):
        messages = [(role, without_searches(blocks)) for role, blocks in messages]
    if compaction is None:
        messages = [(role, _without_summaries(blocks, left_out)) for role, blocks in messages]
    elif compaction.is_near or any(block.get("type") == SUMMARY for _, blocks in messages for block in blocks):
        request |= compaction.fields
    request["messages"] = _answered([part for role, content in messages for part in rounds(role, content)])
    return with_removed_tools(request | _tool_fields(tools, request["messages"], options)), +left_out


def _tool_fields(tools: Sequence[Json], messages: Sequence[Json], options: Json) -> Json:
    if tools:
        definitions = with_found_tools(tools, messages) if searches(tools) else list(tools)
        return {"tools": definitions, **tool_choice(options, tools)}
    return {}


def with_removed_tools(request: Json) -> Json:
    """Return the request with the tools that were called, because the API refuses calls in a request without tools."""
    called_names = {
        block["name"] for message in request["messages"] for block in message["content"] if block["type"] == "tool_use"
    }
    if request.get("tools") or not called_names:
        return request
    definitions = [{"name": name, **REMOVED_TOOL} for name in sorted(called_names)]
    return {**request, "tools": definitions, "tool_choice": {"type": "none"}}


def rounds(role: str, content: Sequence[Json], *, is_interrupted: bool = False) -> list[Json]:
    """Split a stored message into messages of the API, in which the output of tools has the role `user`.

    Args:
        role: The role of the message.
        content: Its blocks.
        is_interrupted: Whether the answer was interrupted at its end, and Claude is asked to continue it.
    """
    if role == Role.USER:
        return [{"role": role, "content": list(content)}] if content else []
    if is_plain(content) and not is_interrupted:
        return [{"role": role, "content": list(content)}]
    messages: list[Json] = []
    groups = [list(blocks) for _, blocks in groupby(content, lambda block: block.get("type") in TOOL_OUTPUT)]
    for number, blocks in enumerate(groups, start=1):
        if blocks[0].get("type") in TOOL_OUTPUT:
            # The results are first, followed by their pictures.
            ordered = sorted(blocks, key=lambda block: block["type"] != "tool_result")
            messages.append({"role": "user", "content": ordered})
        else:
            messages += exchange(blocks, is_interrupted=is_interrupted and number == len(groups))
    return messages


def with_pictures(request: Json) -> Json:
    """Return the request with each picture from a tool inside the result of its call, as the API requires."""
    return {**request, "messages": [_with_pictures(message) for message in request["messages"]]}


def _with_pictures(message: Json) -> Json:
    content: list[Json] = message["content"]
    pictures = [block for block in content if OF_CALL in block]
    if not pictures:
        return message
    blocks: list[Json] = []
    for block in (block for block in content if OF_CALL not in block):
        own_pictures = [picture for picture in pictures if picture[OF_CALL] == block.get("tool_use_id")]
        sent_pictures = [{key: value for key, value in picture.items() if key != OF_CALL} for picture in own_pictures]
        output: str | list[Json] = block.get("content", "")
        parts = [{"type": "text", "text": output}] if isinstance(output, str) else output
        blocks.append({**block, "content": [*parts, *sent_pictures]} if sent_pictures else block)
    return {**message, "content": blocks}


def with_answer_so_far(
    request: Json,
    content: Sequence[Json],
    *,
    is_interrupted: bool = False,
    writer: str | None = None,
    depth: int | None = None,
) -> Json:
    """Return the request with the content of the answer so far, including tool results, for the next round.

    Args:
        request: The request without the answer.
        content: The answer so far.
        is_interrupted: Whether it was interrupted in the middle of a round, so that an instruction to continue follows.
        writer: The fallback model to which the request is sent; None for the model of the generation.
        depth: The depth of the answer in the conversation's tree (see `Turn`).
    """
    is_searching = searches(request.get("tools", ()))
    if "format" in request.get("output_config", {}):
        content = [_without_key(block, "citations") if block["type"] == "tool_result" else block for block in content]
    replayable = _replayable(list(content), Counter(), same_prefix=True, writer=writer, depth=depth)
    replayable = replayable if is_searching else without_searches(replayable)
    messages = [*request["messages"], *rounds(Role.ASSISTANT, replayable, is_interrupted=is_interrupted)]
    continued = {**request, "messages": messages}
    if is_searching:
        continued["tools"] = with_found_tools(request["tools"], messages[len(request["messages"]) :])
    if "tool_choice" in request and any(block["type"] == "tool_use" for block in replayable):
        continued["tool_choice"] = after_call(request["tool_choice"])
    return continued


def _without_summaries(blocks: list[Json], left_out: Counter[LeftOut]) -> list[Json]:
    # Nothing is lost: the blocks that were summarized are still in the request.
    remaining = [block for block in blocks if block.get("type") != SUMMARY]
    left_out[LeftOut.SUMMARY_OF_ANOTHER_MODEL] += len(blocks) - len(remaining)
    return remaining


def _output_config(options: Json) -> Json:
    effort = {"effort": options["effort"]} if options.get("effort") is not None else {}
    schema = options.get("output_schema")
    return effort if schema is None else {**effort, "format": output_format(schema)}


def _without_citations(blocks: list[Json], options: Json) -> list[Json]:
    # The API refuses citations together with structured output.
    if options.get("output_schema") is None:
        return blocks
    return [_without_key(block, "citations") for block in blocks]


def _without_key(block: Json, key: str) -> Json:
    """Return a block without a key, also inside of a tool's result."""
    remaining = {name: value for name, value in block.items() if name != key}
    if block.get("type") == "tool_result" and isinstance(content := block.get("content"), list):
        remaining["content"] = [_without_key(part, key) for part in cast("list[Json]", content)]
    return remaining


def _answered(messages: Sequence[Json]) -> list[Json]:
    """Add an error result for each call without a result, because the API refuses such calls."""
    answered_messages: list[Json] = []
    open_call_ids: list[str] = []
    for message in _merged(messages):
        result_ids = {block.get("tool_use_id") for block in message["content"]}
        missing = [_not_run(id) for id in open_call_ids if id not in result_ids]
        if missing and message["role"] == "assistant":
            answered_messages.append({"role": "user", "content": missing})
            missing = []
        # In the user's message, results must precede all other blocks.
        answered_messages.append({**message, "content": [*missing, *message["content"]]})
        open_call_ids = [block["id"] for block in message["content"] if block.get("type") == "tool_use"]
    return answered_messages


def _merged(messages: Sequence[Json]) -> list[Json]:
    """Merge the output of tools and the user's message after it into one message, as the API does."""
    merged_messages: list[Json] = []
    for message in messages:
        previous_type = merged_messages[-1]["content"][-1]["type"] if merged_messages else None
        if previous_type in TOOL_OUTPUT and message["role"] == Role.USER == merged_messages[-1]["role"]:
            merged_messages.append({**message, "content": [*merged_messages.pop()["content"], *message["content"]]})
        else:
            merged_messages.append(message)
    return merged_messages


def _not_run(tool_use_id: str) -> Json:
    return {"type": "tool_result", "tool_use_id": tool_use_id, "content": "The tool was not run.", "is_error": True}


def max_tokens(options: Json, max_output_tokens: int | None) -> int:
    """Return the maximum number of tokens of an answer."""
    limit: int = options.get("max_tokens") or min(DEFAULT_MAX_TOKENS, max_output_tokens or DEFAULT_MAX_TOKENS)
    return limit


def thinking_off(forms: frozenset[str] | None) -> Json | None:
    """Return the setting that disables thinking; None if the model has no such setting, or if that is not known."""
    disabled_form = next((form for form in ("disabled", "between_tools") if form in (forms or ())), None)
    return {"type": disabled_form} if disabled_form else None


def _thinking(options: Json, forms: frozenset[str] | None, max_tokens: int) -> Json | None:
    """Return the thinking setting for the options, as far as the model supports it, with summaries."""
    option: Json | None = options.get("thinking")
    supported = forms if forms is not None else ALL_FORMS
    if is_forced(options) and "disabled" in (forms or ()):
        # The API does not support thinking before a forced call.
        return {"type": "disabled"}
    if option is None:
        # Set explicitly, because newer models think by default, but without summaries.
        return SHOWN if forms is not None and "adaptive" in forms else None
    if not option["enabled"]:
        return thinking_off(supported) or SHOWN
    budget: int | None = option.get("budget_tokens")
    if "enabled" in supported and (budget is not None or "adaptive" not in supported):
        return {"type": "enabled", "budget_tokens": budget or max(MIN_BUDGET_TOKENS, max_tokens // 2)}
    return SHOWN if "adaptive" in supported else None


def _replayable(
    blocks: list[Json],
    left_out: Counter[LeftOut],
    *,
    same_prefix: bool,
    writer: str | None = None,
    depth: int | None = None,
) -> list[Json]:
    if is_plain(blocks):
        return [
            block if depth is None else {**block, PLACE: place_of(depth, index)} for index, block in enumerate(blocks)
        ]
    # The API does not allow omitting only some thinking of a turn.
    is_filtered, latest = _is_filtered(blocks), last_attempt(blocks)
    replayable: list[Json] = []
    for index, block in enumerate(blocks):
        kind = block.get("type")
        if kind == "text":
            if not (block.get("text") or "").strip():
                continue
        elif block.get("partial"):
            # Nothing is missing if a later attempt has continued the answer.
            left_out[LeftOut.UNFINISHED] += block.get(ATTEMPT, 0) == latest
            continue
        elif kind in THINKING and (not same_prefix or block.get(WRITTEN_BY) != writer):
            left_out[LeftOut.THINKING_OF_ANOTHER_PREFIX] += 1
            continue
        elif kind in THINKING and is_filtered:
            left_out[LeftOut.THINKING_FILTERED] += 1
            continue
        elif kind == SUMMARY and block.get(FILTERED):
            left_out[LeftOut.SUMMARY_FILTERED] += 1
            continue
        elif kind == FALLBACK:
            continue
        place = {} if depth is None else {PLACE: place_of(depth, index)}
        replayable.append(_without_own_keys(block) | place)
    return replayable if any(block.get("type") not in THINKING for block in replayable) else []


def is_plain(blocks: Sequence[Json]) -> bool:
    """Return whether all blocks are texts without further keys, except for their places. Nearly all messages are."""
    return bool(blocks) and all(
        block.get("type") == "text" and len(block) == PLAIN_KEYS + (PLACE in block) and (block["text"] or "").strip()
        for block in blocks
    )


def _is_filtered(blocks: Sequence[Json]) -> bool:
    return any(block.get(FILTERED) and block.get("type") in THINKING for block in blocks)


def _without_own_keys(block: Json) -> Json:
    return {key: value for key, value in block.items() if key not in OWN_KEYS}
