"""The input of a generation, built from its rows, and the request that is reduced where Claude refuses a part of it."""

import asyncio
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from client import Json
from rows import MODEL, NOON, seconds

from tertulia.claude.continuation import INSTRUCTION
from tertulia.claude.fallbacks import CREDIT_BETA
from tertulia.claude.models import FALLBACK_BETA, ON_DEMAND_BETA, Model
from tertulia.claude.repairs import LeftOut, Repairs
from tertulia.db.messages import BranchMessage
from tertulia.db.tables import Conversation, Generation, Message, Role
from tertulia.generation import request as requests
from tertulia.generation.input import GenerationInput, generation_input
from tertulia.generation.request import BINDING_BETA, Features, MessagesRequest, RepairPolicy
from tertulia.tools.registry import Selection

SONNET = Model(MODEL, MODEL, default=True, simulated=True)


class Files:
    """Files that only record what is asked of them."""

    def __init__(self) -> None:
        self.forgotten: list[Json] = []

    async def fill(self, request: Json, *, inline: bool = False) -> Json:
        return {**request, "inline": inline}

    async def forget(self, request: Json) -> None:
        self.forgotten.append(request)


def user(text: str, second: float = 0, **more: Any) -> BranchMessage:
    return on_branch(Role.USER, text, second, **more)


def answer(text: str, second: float = 0, **more: Any) -> BranchMessage:
    return on_branch(Role.ASSISTANT, text, second, **more)


def on_branch(role: Role, text: str, second: float, **more: Any) -> BranchMessage:
    content: list[Json] = [{"type": "text", "text": text}]
    message = Message(conversation_id=uuid4(), role=role, depth=0, content=content, created_at=seconds(second))
    return BranchMessage(message, **more)


def build(*branch: BranchMessage, tools: Selection | None = None, **options: Any) -> GenerationInput:
    conversation = Conversation(owner_id=uuid4(), model="other", system_prompt="Be brief.")
    generation = Generation(
        conversation_id=conversation.id, message_id=uuid4(), model=MODEL, options=options, created_at=NOON
    )
    return generation_input(generation, conversation, branch, tools or Selection())


def turns(work: GenerationInput) -> list[str]:
    return [f"{turn.role}: {turn.blocks[0]['text']}" for turn in work.turns]


def test_the_turns_are_those_of_the_branch_with_what_they_were_written_with() -> None:
    work = build(user("Hi."), answer("Hello.", prefix="p"), user("Bye."), max_tokens=5)
    assert turns(work) == ["user: Hi.", "assistant: Hello.", "user: Bye."]
    assert [turn.written_with for turn in work.turns] == [None, "p", None]
    assert (work.model, work.system_prompt, work.options, work.refused_blocks) == (
        MODEL,
        "Be brief.",
        {"max_tokens": 5},
        0,
    )


def test_a_refused_answer_is_left_out_with_the_message_that_it_answers() -> None:
    work = build(user("Hi."), answer("Hello."), user("Bad."), answer("", stop_reason="refusal"), user("Good."))
    assert turns(work) == ["user: Hi.", "assistant: Hello.", "user: Good."]
    assert work.refused_blocks == 2
    twice = build(user("a"), answer("", stop_reason="refusal"), answer("", stop_reason="refusal"), user("b"))
    assert (turns(twice), twice.refused_blocks) == (["user: b"], 3)
    after_answer = build(user("a"), answer("b"), answer("", stop_reason="refusal"), user("c"))
    assert (turns(after_answer), after_answer.refused_blocks) == (["user: a", "assistant: b", "user: c"], 1)
    request = work.messages_request(SONNET, cast("Any", Files()), caching=False)
    assert request.left_out[LeftOut.REFUSED] == 2
    assert (
        LeftOut.REFUSED not in build(user("Hi.")).messages_request(SONNET, cast("Any", Files()), caching=False).left_out
    )


def test_the_context_is_that_of_the_last_answer_that_reported_it() -> None:
    assert build(user("a")).context_tokens == 0
    branch = [
        user("a"),
        answer("b", context_tokens=7),
        user("c"),
        answer("d", context_tokens=9),
        answer("e"),
        user("f"),
    ]
    work = build(*branch)
    assert work.context_tokens == 9
    assert work.messages_request(SONNET, cast("Any", Files()), caching=False).context_tokens == 9


def test_only_the_pauses_of_the_user_make_a_conversation_slow() -> None:
    slow = build(user("a", 0), answer("b", 595), user("c", 600), answer("d", 605), user("e", 1200))
    assert slow.slow
    assert not build(user("a", 0), answer("b", 5), user("c", 200), answer("d", 395), user("e", 400)).slow
    for caching in (True, False):
        body = asyncio.run(slow.messages_request(SONNET, cast("Any", Files()), caching=caching).body())
        assert ("cache_control" in str(body)) is caching
        assert ("1h" in str(body)) is caching


def test_another_round_follows_the_answer_so_far() -> None:
    work = build(user("Hi."))
    more = work.with_answer([{"type": "text", "text": "So far."}])
    assert turns(more) == ["user: Hi.", "assistant: So far."]
    assert more.turns[-1].written_with == work.prefix
    assert turns(work) == ["user: Hi."]


def request(
    *messages: Json, policy: RepairPolicy | None = None, slow: bool | None = None, **more: Any
) -> tuple[MessagesRequest, Files]:
    files: Any = Files()
    body: Json = {"model": MODEL, "messages": placed(*messages), **more}
    return MessagesRequest(body, Counter(), files, slow=slow, context_tokens=0, repair_policy=policy), files


def message(role: str, *blocks: Json) -> Json:
    return {"role": role, "content": list(blocks)}


def placed(*messages: Json) -> list[Json]:
    """Return messages whose blocks have places, as `claude.prompt` builds them."""
    return [
        {**part, "content": [{**block, "at": f"{depth}.{n}"} for n, block in enumerate(part["content"])]}
        for depth, part in enumerate(messages)
    ]


TEXT: Json = {"type": "text", "text": "Hi."}
THOUGHT: Json = {"type": "thinking", "thinking": "Hm.", "signature": "x"}
PICTURE: Json = {"type": "image", "source": {"type": "file", "file_id": "file_1"}}


def test_a_round_adds_the_answer_the_container_and_at_last_disables_tools() -> None:
    sent, _ = request(message("user", TEXT), tools=[{"name": "add"}])
    first = asyncio.run(sent.body())
    assert first == {"model": MODEL, "messages": [message("user", TEXT)], "tools": [{"name": "add"}], "inline": False}
    sent.add_round([TEXT], container=None, last=False)
    second = asyncio.run(sent.body())
    assert [part["role"] for part in second["messages"]] == ["user", "assistant"]
    assert {"container", "tool_choice"}.isdisjoint(second)
    sent.add_round([TEXT], container="container_1", last=True)
    third = asyncio.run(sent.body())
    assert (third["container"], third["tool_choice"]) == ("container_1", {"type": "none"})
    without, _ = request(message("user", TEXT))
    without.add_round([TEXT], container=None, last=True)
    assert "tool_choice" not in asyncio.run(without.body())


def refused(sent: MessagesRequest, text: str, status: int = 400) -> Json | None:
    error: Any = SimpleNamespace(body={"error": {"message": text}}, status_code=status)
    return asyncio.run(sent.body_without_refused(error))


def test_thinking_that_claude_refuses_is_left_out() -> None:
    sent, _ = request(message("user", TEXT), message("assistant", THOUGHT, TEXT), message("user", TEXT))
    assert refused(sent, "Something else.") is None
    body = refused(sent, "The thinking block is invalid.")
    assert body is not None
    assert "thinking" not in str(body["messages"])
    assert sent.left_out == {LeftOut.THINKING_REFUSED: 1}
    assert refused(sent, "The thinking block is invalid.") is None


def test_files_that_claude_does_not_know_are_sent_as_bytes_once() -> None:
    sent, files = request(message("user", PICTURE))
    body = refused(sent, "File_id file_1 was not found.")
    assert body is not None
    assert body["inline"] is True
    assert len(files.forgotten) == 1
    assert refused(sent, "File_id file_1 was not found.") is None
    assert len(files.forgotten) == 1


@pytest.mark.parametrize(
    ("text", "status", "is_left_out"),
    [("The image is too large.", 400, True), ("Too much.", 413, True), ("Too much.", 400, False), ("a PDF", 400, True)],
)
def test_earlier_attachments_that_claude_refuses_are_left_out(text: str, status: int, *, is_left_out: bool) -> None:
    sent, _ = request(message("user", PICTURE), message("assistant", TEXT), message("user", TEXT))
    body = refused(sent, text, status)
    assert (body is not None) is is_left_out
    assert sent.left_out == ({LeftOut.ATTACHMENT_REFUSED: 1} if is_left_out else {})
    last, _ = request(message("user", TEXT), message("assistant", TEXT), message("user", PICTURE))
    assert refused(last, text, status) is None


@pytest.mark.parametrize("filtered", [False, True])
def test_a_summary_on_demand_that_a_filter_has_changed_replaces_nothing(*, filtered: bool) -> None:
    summary = answer("", stop_reason="compaction")
    summary.message.content[:] = [
        {"type": "compaction", "content": "They met.", **({"filtered": True} if filtered else {})}
    ]
    work = build(user("Hi."), answer("Hello."), user("Sum up."), summary, user("And?"))
    request = work.messages_request(replace(SONNET, summarizes=True), cast("Any", Files()), caching=False)
    sent = str(asyncio.run(request.body()))
    assert ("They met." in sent, "Hello." in sent) == (not filtered, filtered)


def test_a_summary_of_which_a_part_is_filtered_replaces_nothing_and_the_newest_other_one_is_sent() -> None:
    def summary(*parts: Json) -> BranchMessage:
        item = answer("", stop_reason="compaction")
        item.message.content[:] = [{"type": "compaction", **part} for part in parts]
        return item

    first, filtered = summary({"content": "They met."}), summary({"content": "No."}, {"content": "x", "filtered": True})
    work = build(user("Hi."), first, user("Sum up."), filtered, user("Again."), summary({"content": None}), user("Go."))
    sent = work.messages_request(replace(SONNET, summarizes=True), cast("Any", Files()), caching=False)
    body = asyncio.run(sent.body())
    assert (sent.left_out[LeftOut.SUMMARY_FILTERED], body["betas"]) == (1, [ON_DEMAND_BETA])
    assert body["messages"][0]["content"][0]["content"] == "They met."
    assert [part["role"] for part in body["messages"][1:]] == ["user"] * 3
    other = work.messages_request(SONNET, cast("Any", Files()), caching=False)
    assert other.left_out == {LeftOut.SUMMARY_OF_ANOTHER_MODEL: 3}
    assert "They met." not in str(asyncio.run(other.body()))


def test_the_model_that_answers_after_a_refusal_is_the_last_writer_of_that_answer() -> None:
    refusal: Json = {"refusal": {"category": "bio"}, "model": MODEL}
    refused = answer("No.", **refusal)
    refused.message.content[:] = [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b", "written_by": "small"},
        {"type": "text", "text": "c", "written_by": "tiny"},
    ]
    assert build(user("a"), refused, user("b"), answer("c", model=MODEL), user("d")).pinned == "tiny"
    assert build(user("a"), answer("b", **refusal), user("c")).pinned is None
    assert build(user("a"), refused._replace(model="other"), user("c")).pinned is None
    assert build(user("a"), refused._replace(refusal=None), user("c")).pinned is None


def test_the_input_has_the_depth_the_last_response_and_the_repairs_of_the_branch() -> None:
    assert (build().depth, build().previous_response) == (0, None)
    repairs = {"blocks": {"0.0": "thinking_refused"}, "tools": []}
    work = build(user("a"), answer("b", response_id="msg_1", repairs=repairs), answer("c"), user("d"))
    assert (work.depth, work.previous_response) == (1, "msg_1")
    assert work.repairs.blocks == {"0.0": LeftOut.THINKING_REFUSED}
    sent = work.messages_request(SONNET, cast("Any", Files()), caching=True)
    assert sent.repairs == work.repairs
    assert asyncio.run(sent.body())["diagnostics"] == {"previous_message_id": "msg_1"}


def test_a_fallback_model_gets_only_options_that_it_supports() -> None:
    choice = {"mode": "any"}
    options: Json = {"effort": "max", "output_schema": {}, "tool_choice": choice, "max_tokens": 900, "speed": "fast"}
    small = Model("claude-haiku-5", "Haiku", default=False, simulated=True)
    work = build(user("Hi."), answer("Hm.", prefix="other"), user("Go."), **options)
    work = work.with_answer([{"type": "text", "text": "So far."}])
    same = work.for_fallback(small)
    assert (same.options, same.model, same.is_fallback) == (options, "claude-haiku-5", True)
    assert [turn.written_with for turn in same.turns] == [None, "other", None, same.prefix]
    assert same.prefix != work.prefix
    assert {turn.writer for turn in same.turns} == {"claude-haiku-5"}
    limited = replace(small, efforts=frozenset({"low"}), structured=False, max_output_tokens=500)
    assert work.for_fallback(limited).options == {"tool_choice": choice, "max_tokens": 500, "speed": "fast"}
    able = replace(small, efforts=frozenset({"max"}), structured=True, max_output_tokens=5000)
    assert work.for_fallback(able).options == options
    never_forced = replace(small, id="claude-sonnet-5-5")
    assert "tool_choice" not in work.for_fallback(never_forced).options
    free = build(user("Hi."), tool_choice={"mode": "auto"})
    assert free.for_fallback(never_forced).options == free.for_fallback(limited).options == free.options


def test_a_request_for_a_summary_has_no_fallbacks() -> None:
    model = replace(SONNET, fallbacks=frozenset({"small"}))
    fallback = Model("small", "Small", default=False, simulated=True)
    cases: list[tuple[Json, set[str]]] = [({}, {"small"}), ({"compaction": {"instructions": "Short."}}, set())]
    for options, names in cases:
        work = build(user("Hi."), **options)
        sent = work.messages_request(model, cast("Any", Files()), caching=False, fallbacks=[fallback])
        assert sent.fallbacks == names
        body = asyncio.run(sent.body())
        assert body.get("compaction", {}).get("instructions") == options.get("compaction", {}).get("instructions")


def test_a_request_is_repaired_twelve_times_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_refused(*_: object) -> Repairs:
        return Repairs()

    monkeypatch.setattr(requests, "without_refused", without_refused)
    sent, _ = request(message("user", TEXT))
    assert [refused(sent, "Something.") is not None for _ in range(14)] == [True] * 12 + [False] * 2


def test_thinking_that_the_api_drops_is_counted_once() -> None:
    sent, _ = request(message("user", TEXT))
    sent.note_dropped([{"type": "another"}])
    assert sent.left_out == {}
    dropped = {"type": "thinking_dropped"}
    for transformations in ([dropped, {"type": "another"}, dropped], [dropped], []):
        sent.note_dropped(transformations)
        assert sent.left_out == {LeftOut.THINKING_REFUSED: 2}


def test_a_text_that_must_match_a_format_is_continued_without_it() -> None:
    for config, remaining in (({"format": {}, "effort": "low"}, {"effort": "low"}), ({"format": {}}, None)):
        sent, _ = request(message("user", TEXT), output_config=config)
        assert (sent.has_begun, sent.first_messages is None) == (False, False)
        assert asyncio.run(sent.body())["output_config"] == config
        sent.continue_answer([TEXT])
        body = asyncio.run(sent.body())
        assert (sent.has_begun, sent.first_messages is None) == (True, True)
        assert body.get("output_config") == remaining
        assert INSTRUCTION in body["messages"][-1]["content"][0]["text"]
        assert body["model"] == MODEL
        sent.continue_answer([THOUGHT])  # nothing that could be continued, so Claude is asked the same again
        assert asyncio.run(sent.body())["output_config"] == config
        sent.add_round([TEXT], container=None, last=False)
        assert asyncio.run(sent.body())["output_config"] == config
    plain, _ = request(message("user", TEXT), output_config={"effort": "low"})
    plain.continue_answer([TEXT])
    assert asyncio.run(plain.body())["output_config"] == {"effort": "low"}
    bare, _ = request(message("user", TEXT))
    bare.continue_answer([TEXT])
    assert "output_config" not in asyncio.run(bare.body())


BOUND: Json = {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}


@pytest.mark.parametrize(
    ("thinking", "binds_thinking", "features", "is_bound"),
    [
        ({"type": "adaptive"}, True, Features(), True),
        ({"type": "disabled"}, True, Features(), False),
        (None, True, Features(), False),
        ({"type": "adaptive"}, False, Features(), False),
        ({"type": "adaptive"}, True, Features(thinking_binding=False), False),
        ({"type": "adaptive"}, True, None, False),
    ],
)
def test_the_api_may_drop_thinking_that_is_bound_to_another_conversation(
    thinking: Json | None, features: Features | None, *, binds_thinking: bool, is_bound: bool
) -> None:
    policy = RepairPolicy(features=features, binds_thinking=binds_thinking)
    fields: Json = {} if thinking is None else {"thinking": thinking}
    sent, _ = request(message("user", TEXT), policy=policy, betas=["other"], **fields)
    body = asyncio.run(sent.body())
    assert body.get("thinking") == (BOUND if is_bound else thinking)
    assert body["betas"] == (["other", BINDING_BETA] if is_bound else ["other"])


def test_features_that_the_api_does_not_support_are_not_used_again() -> None:
    features = Features()
    policy = RepairPolicy(features=features, binds_thinking=True)
    more: Json = {"thinking": {"type": "adaptive"}, "fallbacks": [{"model": "small"}], "betas": [FALLBACK_BETA]}

    def new() -> MessagesRequest:
        return request(message("user", TEXT), policy=policy, **more)[0]

    sent = new()
    assert asyncio.run(sent.body())["betas"] == [FALLBACK_BETA, BINDING_BETA]
    without_binding = refused(sent, "thinking.adaptive.block_binding: Extra inputs are not permitted")
    assert without_binding is not None
    assert (without_binding["betas"], without_binding["thinking"]) == ([FALLBACK_BETA], {"type": "adaptive"})
    assert features == Features(thinking_binding=False)
    assert refused(sent, "thinking.adaptive.block_binding: Extra inputs are not permitted") is None
    without_fallbacks = refused(sent, "fallbacks.0.model: not allowed for this model")
    assert without_fallbacks is not None
    assert {"fallbacks", "betas"}.isdisjoint(without_fallbacks)
    assert features.fallbacks
    assert refused(sent, "fallbacks.0.model: not allowed for this model") is None
    other = new()
    assert asyncio.run(other.body())["fallbacks"] == [{"model": "small"}]
    assert refused(other, "fallbacks: Extra inputs are not permitted") is not None
    assert not features.fallbacks
    assert "fallbacks" not in asyncio.run(new().body())


def test_a_refused_request_is_sent_to_another_model_with_its_token_once() -> None:
    sent, _ = request(message("user", TEXT), message("assistant", TEXT), message("user", TEXT))
    sent.redeem("token", placed(message("user", TEXT)))
    body = asyncio.run(sent.body())
    assert body["fallback_credit_token"] == {"token": "token", "mode": "best_effort"}
    assert (body["betas"], len(body["messages"])) == ([CREDIT_BETA], 1)
    assert "fallback_credit_token" not in asyncio.run(sent.body())
