"""The application's hooks: functions that check what users send, and filter what Claude writes."""

import asyncio
import json
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from client import Api, Json, apply
from running import running, settings
from scripted import START, Cut, Gate, Reply, ScriptedClaude, begin, delta, end, finish, says, scripted, text

from tertulia import Document, Redactor, Refusal, Send, SendRefused, Tertulia, TextFilter, TextStream, Viewer, hook
from tertulia.hooks import Hooks
from tertulia.server.environment import WrongSetting
from tertulia.server.hooking import open_hooks

SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename
  ... on SendMessagePayload { replayed conversation { id } userMessage { id text } generation { id } }
  ... on SendRefused { message code } ... on Error { message } } }"""
EDIT = """mutation ($input: EditMessageInput!) { editMessage(input: $input) { __typename
  ... on SendMessagePayload { userMessage { id text } generation { id } } ... on SendRefused { message code } } }"""
CONTEXT = "query ($id: ID!) { node(id: $id) { ... on Message { context } } }"


SUBMIT = """mutation ($input: SubmitToolResultsInput!) { submitToolResults(input: $input) { __typename } }"""
RETURNS = "https://shop.example.com/returns"
CITATIONS = """query ($id: ID!) { generation(id: $id) { message { content {
  ... on TextBlock { citations { citedText source title url startIndex endIndex } } } } } }"""
CITED = {
    "type": "search_result_location", "cited_text": "Within 30 days.", "source": RETURNS, "title": "Returns",
    "search_result_index": 0, "start_block_index": 0, "end_block_index": 1,
}  # fmt: skip
SHOWN = {
    "citedText": "Within 30 days.", "source": RETURNS, "title": "Returns", "url": RETURNS,
    "startIndex": 0, "endIndex": 1,
}  # fmt: skip


class Checks:
    """Hooks whose behaviour depends on the text, and the sends that they have seen."""

    def __init__(self) -> None:
        self.sends: list[Send] = []

    @hook(timeout=0.3, on_error="refuse")
    async def before_send(self, send: Send) -> Send | Refusal:
        self.sends.append(send)
        if "curse" in send.text:
            return Refusal("Please be polite.", code="PROFANITY")
        if "raise" in send.text:
            raise RuntimeError("the moderation service is down")
        if "hang" in send.text:
            await asyncio.Event().wait()
        if "blank" in send.text:
            return replace(send, text=" ")
        if "steal" in send.text:
            return replace(send, viewer=Viewer("eve", "Eve"))
        cart = {"tea": 2, "on": date(2026, 11, 29), "tags": ("hot",)}
        contexts = {
            "cart": {**(send.context or {}), "cart": cart}, "no context": None, "too much": "x" * 40_000,
            "not json": object(),
        }  # fmt: skip
        context = next((context for words, context in contexts.items() if words in send.text), send.context)
        text = send.text.replace("4111 1111", "[card]")
        return replace(send, text=text, context=context, max_tokens=99)

    @hook(timeout=60, on_error="refuse")
    async def retrieve(self, send: Send) -> Sequence[Document]:
        if "no index" in send.text:
            raise RuntimeError("the index is down")
        return [Document("Returns", RETURNS, ["Within 30 days.", "We pay."])] if "return" in send.text else []

    @hook(timeout=60, on_error="refuse")
    def transform_text(self, _stream: TextStream) -> TextFilter:
        return Redactor(r"4242[ -]?4242", "[card]", longest=10)


class Checked:
    """A server with hooks."""

    def __init__(self, tertulia: Tertulia, checks: Checks, claude: ScriptedClaude, api: Api) -> None:
        self.tertulia, self.checks, self.claude, self.api = tertulia, checks, claude, api

    def send(self, text: str, **more: Any) -> Json:
        sent: Json = self.api.ask(SEND, input={"text": text, **more})["sendMessage"]
        return sent

    def edit(self, message_id: str, text: str) -> Json:
        edited: Json = self.api.ask(EDIT, input={"messageId": message_id, "text": text})["editMessage"]
        return edited

    def context_of(self, message_id: str) -> Any:
        return self.api.ask(CONTEXT, id=message_id)["node"]["context"]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Generator[Checked]:
    with scripted(says("Fine.")) as claude:
        keyed = {"anthropic_api_key": "sk-ant-scripted", "anthropic_base_url": claude.address}
        checks = Checks()
        place = settings(tmp_path_factory.mktemp("hooks"), **keyed, tools=("some_tools:who",))
        tertulia = Tertulia(place, hooks=checks)
        tertulia.app.router.lifespan_context = tertulia.lifespan
        with running(tertulia.app) as address, Api(address) as api:
            yield Checked(tertulia, checks, claude, api)


def test_a_refused_message_is_a_typed_result_and_nothing_is_stored(checked: Checked) -> None:
    conversation = checked.send("Hello")["conversation"]["id"]
    before = len(checked.api.messages(conversation))
    refused = checked.send("A curse", conversationId=conversation)
    assert refused == {"__typename": "SendRefused", "message": "Please be polite.", "code": "PROFANITY"}
    assert len(checked.api.messages(conversation)) == before


def test_the_text_and_options_that_the_hook_returns_are_stored_and_sent_to_claude(checked: Checked) -> None:
    sent = checked.send("My card is 4111 1111.")
    assert sent["userMessage"]["text"] == "My card is [card]."
    checked.api.follow(sent["generation"]["id"])
    request = checked.claude.requests[-1]
    assert request["messages"][-1]["content"][-1]["text"] == "My card is [card]."
    assert request["max_tokens"] == 99
    edited = checked.edit(sent["userMessage"]["id"], "It is 4111 1111 now.")
    assert edited["userMessage"]["text"] == "It is [card] now."
    refused = checked.edit(sent["userMessage"]["id"], "A curse")
    assert refused["code"] == "PROFANITY"


def test_the_hook_can_add_what_the_server_knows_to_the_context(checked: Checked) -> None:
    sent = checked.send("What is in my cart?", context={"page": "/tea"})
    known = {"page": "/tea", "cart": {"tea": 2, "on": "2026-11-29", "tags": ["hot"]}}
    assert checked.context_of(sent["userMessage"]["id"]) == known
    checked.api.follow(sent["generation"]["id"])
    assert '"cart":{"tea":2' in json.dumps(checked.claude.requests[-1]["messages"][-1]).replace('\\"', '"')
    edited = checked.edit(sent["userMessage"]["id"], "And now?")
    assert checked.checks.sends[-1].context == known
    assert checked.context_of(edited["userMessage"]["id"]) == known
    checked.api.stop(edited["generation"]["id"])
    edited = checked.edit(edited["userMessage"]["id"], "Please answer with no context")
    assert checked.context_of(edited["userMessage"]["id"]) is None


def test_a_repeated_message_returns_its_first_result_and_does_not_run_the_hook_again(checked: Checked) -> None:
    key = {"idempotencyKey": "8c5f1c8e-5d0b-4c62-8a80-33ee2cf9b111"}
    first = checked.send("Twice: 4111 1111", **key)
    calls = len(checked.checks.sends)
    again = checked.send("Twice: 4111 1111", **key)
    assert again["replayed"]
    assert again["generation"] == first["generation"]
    assert len(checked.checks.sends) == calls


def test_the_hook_sees_who_sends_what_to_which_conversation(checked: Checked) -> None:
    sent = checked.send("Hello", options={"model": "claude-haiku-5-5", "effort": "LOW"})
    new, conversation = checked.checks.sends[-1], sent["conversation"]["id"]
    assert (new.viewer.name, new.conversation_id, new.model, new.effort) == ("local", None, "claude-haiku-5-5", "low")
    checked.api.follow(sent["generation"]["id"])
    checked.send("Again", conversationId=conversation)
    assert str(checked.checks.sends[-1].conversation_id) == conversation


def test_the_hook_does_not_see_messages_to_conversations_that_the_viewer_does_not_have(checked: Checked) -> None:
    calls = len(checked.checks.sends)
    sent = checked.send("Hello", conversationId="00000000-0000-7000-8000-000000000000")
    assert sent["__typename"] == "NotFound"
    assert len(checked.checks.sends) == calls


@pytest.mark.parametrize("text", ["raise", "hang", "blank", "steal", "too much", "not json"])
def test_a_hook_that_fails_or_hangs_or_returns_nonsense_refuses_the_message_if_it_is_declared_so(
    checked: Checked, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    refused = checked.send(text)
    assert (refused["__typename"], refused["code"]) == ("SendRefused", "HOOK_FAILED")
    assert "moderation service" not in refused["message"]
    assert "The hook before_send" in caplog.text


def test_rest_and_python_refuse_in_their_own_way(checked: Checked) -> None:
    for path in ("/chat", "/chat/stream"):
        refused = checked.api.http.post(path, json={"message": "A curse"})
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["reason"]) == (403, "SEND_REFUSED", "PROFANITY")
    viewer = checked.checks.sends[-1].viewer

    async def send() -> None:
        await checked.tertulia.send(viewer, "A curse")

    with pytest.raises(SendRefused, match="polite"):
        asyncio.run(send())


def test_the_calls_of_hooks_are_counted_by_outcome(checked: Checked) -> None:
    checked.send("Hello")
    checked.send("A curse")
    metrics = checked.api.http.get("/metrics").text
    for outcome in ("ok", "refused"):
        assert f'tertulia_hook_seconds_count{{hook="before_send",outcome="{outcome}"}}' in metrics


def test_clients_storage_search_and_claude_get_only_the_filtered_text(checked: Checked) -> None:
    checked.claude.replies = [says("The card ", "4242", " 4", "242 is", " hers, zirconium.")]
    sent = checked.send("Which card?")
    conversation = sent["conversation"]["id"]
    events = checked.api.follow(sent["generation"]["id"], after=0)
    shown = "The card [card] is hers, zirconium."
    assert apply(events) == [shown]
    assert "".join(event["text"] for event in events if event["__typename"] == "TextDelta") == shown
    assert checked.api.messages(conversation)[-1]["text"] == shown
    query = "query ($text: String!) { searchMessages(query: $text) { edges { node { id } } } }"
    assert len(checked.api.ask(query, text="zirconium")["searchMessages"]["edges"]) == 1
    assert checked.api.ask(query, text="4242")["searchMessages"]["edges"] == []
    checked.api.follow(checked.send("Sure?", conversationId=conversation)["generation"]["id"])
    assert checked.claude.requests[-1]["messages"][1]["content"] == [{"type": "text", "text": shown}]


THOUGHT: list[Any] = [
    begin(0, type="thinking", thinking="", signature=""),
    delta(0, "thinking_delta", thinking="The card 4242 "),
    delta(0, "thinking_delta", thinking="4242 is hers."),
    delta(0, "signature_delta", signature="sig"),
    finish(0),
]
LEFT_OUT = "query ($id: ID!) { generation(id: $id) { message { leftOut { reason blocks } } } }"


def thinks_and_calls(name: str) -> Reply:
    call = [begin(1, type="tool_use", id="toolu_1", name=name, input={}), finish(1)]
    return Reply([START, *THOUGHT, *call, *end("tool_use")])


def test_only_the_rounds_of_the_same_answer_send_back_the_thinking_as_claude_wrote_it(checked: Checked) -> None:
    checked.claude.replies = [thinks_and_calls("who"), says("Hers.")]
    sent = checked.send("Which card?")
    conversation = sent["conversation"]["id"]
    events = checked.api.follow(sent["generation"]["id"], after=0)
    deltas = [event for event in events if event["__typename"] == "ThinkingDelta"]
    assert "".join(event["text"] for event in deltas) == "The card [card] is hers."
    assert apply(events)[0] == "The card [card] is hers."
    of_round = checked.claude.requests[-1]["messages"][1]["content"]
    assert of_round[0] == {"type": "thinking", "thinking": "The card 4242 4242 is hers.", "signature": "sig"}
    exported = checked.api.http.get(f"/export/{conversation}").content
    assert b"The card [card] is hers." in exported
    assert b"4242 4242" not in exported
    assert checked.api.http.post("/import", files={"file": ("export", exported)}).status_code == 201
    later = checked.send("Sure?", conversationId=conversation)["generation"]["id"]
    checked.api.follow(later)
    assert [block["type"] for block in checked.claude.requests[-1]["messages"][1]["content"]] == ["tool_use"]
    left_out = checked.api.ask(LEFT_OUT, id=later)["generation"]["message"]["leftOut"]
    assert left_out == [{"reason": "THINKING_FILTERED", "blocks": 1}]


def test_an_answer_that_waited_for_its_client_continues_without_the_thinking_that_was_filtered(
    checked: Checked,
) -> None:
    checked.claude.replies = [thinks_and_calls("look"), says("Hers.")]
    tool = {"name": "look", "description": "Looks.", "inputSchema": {"type": "object"}}
    generation = checked.send("Which card?", tools={"client": [tool]})["generation"]["id"]
    with checked.api.socket() as socket:
        next(event for event in socket.events(generation) if event["__typename"] == "ToolResultsRequired")
    result = {"toolUseId": "toolu_1", "output": "a card"}
    checked.api.ask(SUBMIT, input={"generationId": generation, "results": [result]})
    assert checked.api.follow(generation)[-1]["__typename"] == "GenerationCompleted"
    sent_back = [message["content"][0]["type"] for message in checked.claude.requests[-1]["messages"]]
    assert sent_back == ["text", "tool_use", "tool_result"]


def test_the_text_that_a_filter_holds_back_is_kept_when_the_answer_is_stopped(checked: Checked) -> None:
    gate = Gate()
    checked.claude.replies = [Reply([START, *text("This is half of 42", gate, "42 4242")])]
    generation = checked.send("Stop")["generation"]["id"]
    checked.api.wait_for_text(generation, "This is ")
    stopped = checked.api.stop(generation)
    gate.open.set()
    assert stopped["generation"]["message"]["text"] == "This is half of 42"
    assert apply(checked.api.follow(generation)) == ["This is half of 42"]


def test_the_text_that_a_filter_holds_back_is_kept_when_the_answer_fails(checked: Checked) -> None:
    checked.claude.replies = [Reply([START, begin(0, type="text", text=""), delta(0, "text_delta", text="Short"), Cut])]
    sent = checked.send("Fail", options={"continueInterrupted": False})
    failed = checked.api.follow(sent["generation"]["id"])[-1]
    assert failed["__typename"] == "GenerationFailed"
    assert failed["generation"]["message"]["text"] == "Short"


def test_structured_output_is_filtered_before_it_is_checked(checked: Checked) -> None:
    checked.claude.replies = [says('{"card": "4242 ', '4242"}')]
    schema = {"type": "object", "properties": {"card": {"const": "[card]"}}, "required": ["card"]}
    sent = checked.send("Which card?", options={"outputSchema": schema})
    checked.api.follow(sent["generation"]["id"])
    query = (
        """query ($id: ID!) { generation(id: $id) { message { content { ... on JsonBlock { value problem } } } } }"""
    )
    content = checked.api.ask(query, id=sent["generation"]["id"])["generation"]["message"]["content"]
    assert content == [{"value": {"card": "[card]"}, "problem": None}]


def test_retrieved_documents_are_sent_to_claude_which_cites_them_and_again_with_each_later_message(
    checked: Checked,
) -> None:
    words = delta(0, "text_delta", text="You have 30 days.")
    cites = delta(0, "citations_delta", citation=CITED)
    checked.claude.replies = [Reply([START, begin(0, type="text", text=""), words, cites, finish(0), *end()])]
    sent = checked.send("Can I return it?")
    checked.api.follow(sent["generation"]["id"])
    first = checked.claude.requests[-1]["messages"][0]["content"]
    assert first[0] == {
        "type": "search_result",
        "source": RETURNS,
        "title": "Returns",
        "content": [{"type": "text", "text": "Within 30 days."}, {"type": "text", "text": "We pay."}],
        "citations": {"enabled": True},
    }
    assert first[1]["text"] == "Can I return it?"
    content = checked.api.ask(CITATIONS, id=sent["generation"]["id"])["generation"]["message"]["content"]
    assert content == [{"citations": [SHOWN]}]
    checked.api.follow(checked.send("Sure?", conversationId=sent["conversation"]["id"])["generation"]["id"])
    again = checked.claude.requests[-1]["messages"]
    assert [again[0]["content"][0], len(again[2]["content"])] == [first[0], 1]
    assert again[1]["content"][0]["citations"] == [CITED]


def test_a_message_whose_documents_cannot_be_retrieved_is_refused_if_the_hook_is_declared_so(checked: Checked) -> None:
    refused = checked.send("no index")
    assert (refused["__typename"], refused["code"]) == ("SendRefused", "HOOK_FAILED")
    assert "sources" in refused["message"]


def test_the_simulated_claude_cites_retrieved_documents_and_an_export_keeps_them(tmp_path: Path) -> None:
    tertulia = Tertulia(settings(tmp_path), hooks=Checks())
    tertulia.app.router.lifespan_context = tertulia.lifespan
    with running(tertulia.app) as address, Api(address) as api:
        sent = api.send("Can I return it?")
        api.follow(sent["generation"]["id"])
        content = api.ask(CITATIONS, id=sent["generation"]["id"])["generation"]["message"]["content"]
        assert content[-1]["citations"] == [SHOWN]
        exported = api.http.get("/export").content
        assert b"search_result_location" in exported
        imported = api.http.post("/import", files={"file": ("export", exported)})
        assert imported.status_code == 201, imported.text
        assert api.http.get("/export").content.count(b'"type": "search_result",') == 2


def hooks_of(before_send: Callable[..., Any]) -> Hooks:
    return Hooks(SimpleNamespace(before_send=before_send))


def test_a_hook_that_is_declared_to_allow_lets_the_message_through_when_it_fails() -> None:
    @hook(timeout=5, on_error="allow")
    async def before_send(_send: Send) -> Send:
        raise RuntimeError

    send = Send(Viewer("ada", "Ada"), "Hello")
    assert asyncio.run(hooks_of(before_send).before_send(send)) == send


def test_a_sync_hook_runs_in_a_thread() -> None:
    threads: list[threading.Thread] = []

    @hook(timeout=5, on_error="refuse")
    def before_send(send: Send) -> Send:
        threads.append(threading.current_thread())
        return send

    send = Send(Viewer("ada", "Ada"), "Hello")
    assert asyncio.run(hooks_of(before_send).before_send(send)) == send
    assert threads != [threading.main_thread()]


def test_a_wrong_hook_stops_the_start_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    head = "from tertulia import hook\n"
    declaration = "@hook(timeout=1, on_error='allow')\n"
    for name, code, problem in (
        ("missing_module", None, "cannot be imported"),
        ("no_hook", "", "there is no hook"),
        ("undeclared", "def before_send(send): ...", "before_send must be declared with @hook"),
        ("misspelt", head + declaration + "def before_sent(send): ...", "before_sent is not the name of a hook"),
        ("no_limit", head + "@hook(timeout=0, on_error='allow')\ndef before_send(send): ...", "`timeout` must be"),
        ("no_choice", head + "@hook(timeout=1, on_error='ask')\ndef before_send(send): ...", "`on_error` must be"),
    ):
        if code is not None:
            (tmp_path / f"{name}_hooks.py").write_text(code)
        with pytest.raises(WrongSetting, match="TERTULIA_HOOKS: .*" + problem) as error:
            open_hooks(settings(tmp_path, hooks=f"{name}_hooks"))
        assert "\n" not in str(error.value)
