"""Which part of a request is left out after an error of Claude's API, and what the repaired request contains."""

from typing import Any

import pytest

from tertulia.claude.prompt import Turn, build_request
from tertulia.claude.refused_parts import without_refused
from tertulia.claude.repairs import LeftOut, Repairs, repaired, without_places

Json = dict[str, Any]
THOUGHT: Json = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
CALL: Json = {"type": "tool_use", "id": "toolu_1", "name": "draw", "input": {}}
RESULT: Json = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Drawn."}
TOOLS = [{"name": name, "input_schema": {"type": "object"}} for name in ("draw", "add", "look")]


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def picture(title: str, **more: Any) -> Json:
    return {"type": "image", "title": title, "source": {"type": "attachment"}, **more}


def paper(title: str, pages: int) -> Json:
    return {"type": "document", "title": title, "source": {"type": "attachment", "pages": pages}}


HISTORY: list[tuple[str, list[Json]]] = [
    ("user", [picture("a"), picture("b"), text("Look")]),
    ("assistant", [THOUGHT, text("Nice."), THOUGHT, CALL, RESULT, picture("c", of="toolu_1"), THOUGHT, text("So.")]),
    ("user", [paper("d", 60), text("Read")]),
    ("assistant", [text("Done.")]),
    ("user", [picture("e"), text("And this?")]),
]


def request() -> Json:
    turns = [
        Turn(role, blocks, None, depth) if role == "user" else Turn(role, blocks, "same", depth)
        for depth, (role, blocks) in enumerate(HISTORY)
    ]
    built, _ = build_request(
        model="m", max_output_tokens=None, system_prompt=None, options={}, forms=None, turns=turns, tools=TOOLS
    )
    return built


def left_out(error: str, status: int = 400, sent: Json | None = None) -> dict[str, str] | set[str] | None:
    repairs = without_refused(sent or request(), Repairs(), error, status)
    if repairs is None:
        return None
    return set(repairs.tools) or {place: str(reason) for place, reason in repairs.blocks.items()}


IMAGE, THINKING = "attachment_refused", "thinking_refused"


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        ("messages.0.content.1.image.source.base64: Could not process image", 400, {"0.1": IMAGE}),
        ("messages.2.content.0.tool_result.content.1.image.source: Could not process image", 400, {"1.5": IMAGE}),
        ("messages.4.content.0.document.source: The PDF specified was not valid.", 400, {"2.0": IMAGE}),
        ("messages.6.content.0.image.source.base64: Could not process image", 400, None),
        ("messages.0.content.2.text: is bad", 400, None),
        ("messages: too many", 400, None),
        ("Could not process image", 400, {"0.0": IMAGE, "0.1": IMAGE}),
        ("A maximum of 3 images may be provided.", 400, {"0.0": IMAGE}),
        ("A maximum of 50 PDF pages may be provided.", 400, {"2.0": IMAGE}),
        ("Request exceeds the maximum size", 413, {"0.0": IMAGE, "0.1": IMAGE}),
        ("tools.1.custom.input_schema: JSON schema is invalid", 400, {"add"}),
        ("tools: List should have at most 1 item after validation, not 3", 400, {"add", "look"}),
    ],
)
def test_an_error_names_what_is_left_out(error: str, status: int, expected: Any) -> None:
    assert left_out(error, status) == expected


def test_from_refused_thinking_on_all_thinking_is_left_out_because_it_is_bound_to_what_precedes_it() -> None:
    sent = request()
    thoughts = [{**THOUGHT, "at": place} for place in ("1.0", "1.2", "1.6")]
    sent["messages"][1]["content"][:0] = thoughts[:1]
    sent["messages"][1]["content"][2:2] = thoughts[1:2]
    sent["messages"][3]["content"][:0] = thoughts[2:]
    error = "messages.1.content.{}: Invalid `signature` in `thinking` block"
    assert left_out(error.format(2), sent=sent) == {"1.2": THINKING, "1.6": THINKING}
    assert left_out("The thinking is not valid", sent=sent) == dict.fromkeys(("1.0", "1.2", "1.6"), THINKING)


def test_a_repaired_request_has_text_instead_of_attachments_and_no_refused_tools() -> None:
    repairs = Repairs().without_blocks(["0.1", "1.5"], LeftOut.ATTACHMENT_REFUSED).without_tools(["look"])
    fixed, counts = repaired(request(), repairs)
    contents = [message["content"] for message in without_places(fixed)["messages"]]
    note = text("[An attachment that could not be read was left out: b]")
    assert contents[0] == [picture("a"), note, text("Look")]
    assert contents[2] == [RESULT, text("[An attachment that could not be read was left out: c]")]
    assert [tool["name"] for tool in fixed["tools"]] == ["draw", "add"]
    assert counts == {LeftOut.ATTACHMENT_REFUSED: 2, LeftOut.TOOL_REFUSED: 1}
    assert repaired(request(), Repairs()) == (request(), {})


def test_repairs_are_stored_and_those_of_a_branch_are_joined() -> None:
    first = Repairs().without_blocks(["0.1"], LeftOut.ATTACHMENT_REFUSED)
    second = Repairs().without_tools(["look"])
    joined = Repairs.from_json(
        first.to_json(), None, second.to_json(), {"blocks": {"3.0": "of the future"}, "tools": []}
    )
    assert (dict(joined.blocks), joined.tools) == ({"0.1": LeftOut.ATTACHMENT_REFUSED}, frozenset({"look"}))
    assert Repairs().to_json() is None


def test_a_refused_tool_is_not_forced_and_a_found_one_keeps_a_definition() -> None:
    found = {**TOOLS[0], "defer_loading": True}
    choice = {"type": "tool", "name": "draw"}
    fixed, counts = repaired(
        request() | {"tools": [found, TOOLS[1]], "tool_choice": choice}, Repairs().without_tools(["draw"])
    )
    definition, other = fixed["tools"]
    assert (definition["name"], definition["defer_loading"], other) == ("draw", True, TOOLS[1])
    assert definition["input_schema"] == {"type": "object"}
    assert "tool_choice" not in fixed
    assert counts == {LeftOut.TOOL_REFUSED: 1}
    alone, _ = repaired(
        request() | {"tools": [TOOLS[0]], "tool_choice": {"type": "any"}}, Repairs().without_tools(["draw"])
    )
    assert {"tools", "tool_choice"}.isdisjoint(alone)
