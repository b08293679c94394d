"""Write the tables of docs/messages-api.md from the types of the Claude SDK and docs/messages_api_support.toml.

The SDK's types name every parameter, block, event, error code and beta. The file says for each name what Tertulia does
with it. After an upgrade of the SDK, this program, and a test, list the names that have no status yet.
"""

import tomllib
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints

from anthropic import types
from anthropic.types import beta

PAGE = Path(__file__).with_name("messages-api.md")
STATUSES = Path(__file__).with_name("messages_api_support.toml")
BEGIN = "<!-- Generated from the SDK's types by `docs/messages_api_reference.py`. Do not edit. -->\n"
"""Everything after this line of the page is generated."""
KINDS = ("supported", "kept", "refused", "not used")
ELSEWHERE = "other APIs"
"""The status of error codes and betas that the Messages API does not have."""
HEADINGS = {
    "parameters": "Parameters of a request",
    "output_config": "Fields of `output_config`",
    "thinking": "Types of `thinking`",
    "tool_choices": "Types of `tool_choice`",
    "edits": "Edits of `context_management`",
    "tools": "Tools with a schema of the API",
    "input_blocks": "Blocks of a request",
    "output_blocks": "Blocks of an answer",
    "citations": "Citations",
    "events": "Events of a stream",
    "deltas": "Deltas of a block",
    "stop_reasons": "Stop reasons",
    "answer": "Fields of an answer",
    "usage": "Fields of `usage`",
    "cache_misses": "Reasons of a cache miss",
    "errors": "Types of errors",
    "error_codes": "Codes of errors",
    "betas": "Betas",
}


def names() -> dict[str, list[str]]:
    """Return the names of the installed SDK that belong to the Messages API, by section."""
    parameters = get_type_hints(beta.message_create_params.MessageCreateParamsBase)
    codes = dict.fromkeys(code for _, code in _error_classes() if code is not None)
    return {
        "parameters": [*parameters, "stream"],
        "output_config": list(get_type_hints(beta.BetaOutputConfigParam)),
        "thinking": _tags(beta.BetaThinkingConfigParam),
        "tool_choices": _tags(beta.BetaToolChoiceParam),
        "edits": _tags(beta.beta_context_management_config_param.Edit),
        "tools": _tags(beta.BetaToolUnionParam),
        "input_blocks": _tags(beta.BetaContentBlockParam),
        "output_blocks": _tags(beta.BetaContentBlock),
        "citations": _tags(beta.BetaTextCitation),
        "events": _tags(beta.BetaRawMessageStreamEvent),
        "deltas": _tags(beta.BetaRawContentBlockDelta),
        "stop_reasons": list(get_args(beta.BetaStopReason)),
        "answer": list(beta.BetaMessage.model_fields),
        "usage": list(beta.BetaUsage.model_fields),
        "cache_misses": _tags(beta.BetaCacheMissReason),
        "errors": _tags(types.ErrorObject),
        "error_codes": sorted(codes),
        "betas": sorted(_literals(types.AnthropicBetaParam)),
    }


def statuses() -> dict[str, dict[str, str]]:
    """Return the status of each name, by section: one of KINDS or ELSEWHERE, often with a reason after a colon."""
    return tomllib.loads(STATUSES.read_text(encoding="utf-8"))


def problems() -> list[str]:
    """Return the names without a status, the statuses without a name, and the statuses that are none."""
    found: list[str] = []
    known = statuses()
    for section, expected in names().items():
        given = known.get(section, {})
        found += [f"{section}: {name} has no status" for name in expected if name not in given]
        found += [f"{section}: the SDK has no {name}" for name in given if name not in expected]
        for name, status in given.items():
            kind, _, reason = status.partition(": ")
            if kind not in (*KINDS, ELSEWHERE) or (kind not in ("supported", ELSEWHERE) and not reason):
                found.append(f"{section}: {name} has the status {status!r}, without a reason")
    return found


def write_page(page: str) -> str:
    """Return the page with the tables of the installed SDK."""
    introduction, _, _ = page.partition(BEGIN)
    known = statuses()
    lines = [introduction + BEGIN]
    for section, expected in names().items():
        rows = [(name, known[section].get(name, "")) for name in expected]
        lines.append(f"\n### {HEADINGS[section]}\n\n| name | support |\n| --- | --- |\n")
        lines += [f"| `{name}` | {status} |\n" for name, status in rows if status != ELSEWHERE]
        elsewhere = [f"`{name}`" for name, status in rows if status == ELSEWHERE]
        if elsewhere:
            lines.append(f"\n{len(elsewhere)} more belong to other APIs of Anthropic.\n")
    return "".join(lines)


def _error_classes() -> Iterable[tuple[int, str | None]]:
    # The only list of the codes. The SDK has no public name for it.
    return cast("Iterable[tuple[int, str | None]]", import_module("anthropic._error_classes").ERROR_CLASSES)


def _tags(union: Any) -> list[str]:
    """Return the values of the field `type` of the members of a union."""
    tags: list[str] = []
    for member in _members(union):
        fields: Any = getattr(member, "model_fields", None)
        hints = {"type": fields["type"].annotation} if fields else get_type_hints(member)
        tags += _literals(hints["type"]) if "type" in hints else []
    return list(dict.fromkeys(tags))


def _members(union: Any) -> list[type]:
    if get_origin(union) is Annotated:
        return _members(get_args(union)[0])
    if isinstance(union, type):
        return [union]
    return [member for part in get_args(union) if part is not type(None) for member in _members(part)]


def _literals(hint: Any) -> list[str]:
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [value for part in get_args(hint) for value in _literals(part)]


if __name__ == "__main__":
    for problem in problems():
        print(problem)
    PAGE.write_text(write_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
