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

from tertulia.claude.models import Model
from tertulia.claude.repairs import LeftOut
from tertulia.db.messages import BranchMessage
from tertulia.db.tables import Conversation, Generation, Message, Role
from tertulia.generation.input import GenerationInput, generation_input
from tertulia.generation.request import MessagesRequest
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
    slow = build(user("a", 0), answer("b", 5), user("c", 600), answer("d", 605), user("e", 1200))
    assert (slow.slow, build(user("a", 0), answer("b", 600), user("c", 1)).slow) == (True, False)
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


def request(*messages: Json, **more: Any) -> tuple[MessagesRequest, Files]:
    files = Files()
    body: Json = {"model": MODEL, "messages": placed(*messages), **more}
    return MessagesRequest(body, Counter(), cast("Any", files), slow=None, context_tokens=0), files


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
