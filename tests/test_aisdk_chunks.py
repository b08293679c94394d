"""The chunks of the AI SDK: its own schema accepts them, and its own reader builds the same message from any cut."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from client import Json
from npm import run

from tertulia.claude.errors import ErrorCode
from tertulia.db.rows import MessageRow
from tertulia.db.tables import Role
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.resolvers.follow import MessageSnapshot
from tertulia.server.http.aisdk.chunks import INCOMPLETE, NO_RESULT, AnswerChunks
from tertulia.server.http.aisdk.parts import parts_of
from tertulia.streams.events import GenerationCompleted, GenerationEvent, GenerationStopped, ToolResultsRequired, fold

ID = uuid4()
PICTURE = UUID(int=7)
NOON = datetime(2026, 1, 1, tzinfo=UTC)


class Log:
    """The events of an answer, written as the server writes them."""

    def __init__(self) -> None:
        self.answer = AnswerAccumulator(ID)
        self.events: list[GenerationEvent] = []
        self._index = 0

    def take(self, *events: Json) -> None:
        self.answer.process(events, self.events)

    def block(self, block: Json, *deltas: Json, ends: bool = True) -> "Log":
        index, self._index = self._index, self._index + 1
        self.take({"type": "content_block_start", "index": index, "content_block": block})
        for delta in deltas:
            self.take({"type": "content_block_delta", "index": index, "delta": delta})
        if ends:
            self.take({"type": "content_block_stop", "index": index})
        return self

    def text(self, *pieces: str, citations: tuple[Json, ...] = (), ends: bool = True) -> "Log":
        cited = [{"type": "citations_delta", "citation": citation} for citation in citations]
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
        return self.block({"type": "text", "text": ""}, *deltas, *cited, ends=ends)

    def thinking(self, *pieces: str) -> "Log":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
        return self.block({"type": "thinking", "thinking": ""}, *deltas)

    def call(self, id: str, *pieces: str, ends: bool = True) -> "Log":
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        return self.block({"type": "tool_use", "id": id, "name": "add", "input": {}}, *deltas, ends=ends)

    def end_round(self) -> "Log":
        self.answer.fix_invalid_inputs(self.events)
        self.answer.end_round(None)
        self._index = 0
        return self

    def interrupt(self) -> "Log":
        self.events += [*self.answer.break_off(), self.answer.begin_attempt(ErrorCode.CONNECTION)]
        self._index = 0
        return self

    def run(self, id: str) -> "Log":
        self.events += [event for event in [self.answer.begin_result(id)] if event is not None]
        return self

    def result(self, id: str, content: Any, **more: Any) -> "Log":
        block = {"type": "tool_result", "tool_use_id": id, "content": content, **more}
        self.events += self.answer.finish_result(block)
        return self

    def picture(self) -> "Log":
        source = {"type": "attachment", "attachment_id": str(PICTURE), "media_type": "image/png"}
        self.events += self.answer.add({"type": "image", "source": source})
        return self

    def wait(self, *approvals: int) -> "Log":
        uses = {
            index: block
            for index, block in enumerate(self.answer.content)
            if block["type"] == "tool_use"
            and not any(block["id"] == other.get("tool_use_id") for other in self.answer.content)
        }
        self.events.append(ToolResultsRequired(ID, self.answer.next_sequence(), uses, [*approvals], NOON))
        return self

    def end(self, kind: type[GenerationEvent] = GenerationCompleted) -> list[GenerationEvent]:
        self.events.append(kind(ID, self.answer.next_sequence()))
        return self.events


WEB = {"type": "web_search_result_location", "cited_text": "sky", "url": "https://sky.example", "title": "The sky"}
PAGE = {"type": "page_location", "cited_text": "blue", "document_title": "a.pdf", "start_page_number": 1}
LOGS = {
    "text": Log().text("One ", "👋", " two").end(),
    "thinking": Log().thinking("Let me ", "see").text("Yes").end(),
    "redacted thinking": Log().block({"type": "redacted_thinking", "data": "x"}).text("Yes").end(),
    "sources": Log().text("The sky ", "is blue", citations=(WEB, PAGE, WEB)).text("Also", citations=(PAGE,)).end(),
    "a summary": Log().block({"type": "compaction", "content": None}, {"type": "compaction_delta", "content": "All"}).text("x").end(),
    "two calls, a failure and a picture": Log().thinking("a").text("Adding").call("a", '{"a"', ": 1}").call("b", "{}").end_round()
    .run("a").run("b").result("b", "no", is_error=True).result("a", '{"sum": 1}', is_json=True).picture().end_round().text("Done").end(),
    "an input that is no JSON": Log().call("a", "[1", "]").end_round().result("a", "The input is no object.", is_error=True).end_round().text("x").end(),
    "a call that was cut off": Log().text("One").call("a", '{"a', ends=False).end(GenerationStopped),
    "a call without a result": Log().call("a", "{}").end_round().run("a").end(GenerationStopped),
    "a text that was stopped": Log().thinking("a").text("One", ends=False).end(GenerationStopped),
    "Claude's own search": Log().block({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, {"type": "input_json_delta", "partial_json": '{"query": "sky"}'})
    .block({"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result", "url": WEB["url"]}]}).text("Blue", citations=(WEB,)).end(),
    "a text that is continued after thinking": Log().text("The sea is de", ends=False).interrupt().thinking("On").text("ep.").end(),
    "a call that is not repeated": Log().call("a", '{"a', ends=False).interrupt().text("No call").end(),
    "nothing": Log().end(),
}  # fmt: skip
WAITING = Log().text("Adding").call("own", "{}").call("ask", '{"a": 2}').call("run", "{}").end_round().run("run")
WAITING.result("run", "ran").wait(2)
WAITING_EVENTS = [*WAITING.events]
CONTINUED = WAITING.end_round().result("own", "mine").result("ask", "asked").end_round().text("Done").end()


def new() -> AnswerChunks:
    return AnswerChunks(lambda id: f"/attachments/{id}")


def snapshot(events: list[GenerationEvent]) -> MessageSnapshot:
    row = MessageRow(ID, ID, None, Role.ASSISTANT, 1, fold(events), None, {}, None, NOON)
    return MessageSnapshot(ID, len(events), row)


def chunks(events: list[GenerationEvent], of: AnswerChunks | None = None) -> list[Json]:
    converter = of or new()
    return [chunk for event in events for chunk in converter.convert(event)]


def from_cut(events: list[GenerationEvent], cut: int) -> list[Json]:
    return [*chunks([snapshot(events[:cut]), *events[cut:]]), {"type": "finish", "messageMetadata": {}}]


def read(tmp_path: Path, messages: list[list[list[Json]]]) -> list[Json]:
    """Return the messages that the AI SDK builds from responses."""
    (tmp_path / "chunks.json").write_text(json.dumps(messages))
    read = run("ui_messages.mjs", str(tmp_path / "chunks.json"))
    assert read["problems"] == []
    return [message or {"parts": []} for message in read["messages"]]


@pytest.mark.needs("node", "tests/node", "node_modules")
def test_the_ai_sdk_builds_the_same_message_from_each_event_on(tmp_path: Path) -> None:
    cuts = [(name, cut) for name, events in LOGS.items() for cut in range(len(events))]
    streams = [from_cut(LOGS[name], cut) for name, cut in cuts]
    built = dict(zip(cuts, read(tmp_path, [[stream] for stream in streams]), strict=True))
    for (name, cut), message in built.items():
        assert message["parts"] == built[name, 0]["parts"], (name, cut)
    # The stored messages have the same parts.
    for (name, cut), stream in zip(cuts, streams, strict=True):
        ours = [{key: value for key, value in part.items() if value is not None} for part in parts_of(stream)]
        assert ours == built[name, cut]["parts"], name


@pytest.mark.needs("node", "tests/node", "node_modules")
def test_an_answer_continues_in_another_response_after_it_has_waited_for_the_client(tmp_path: Path) -> None:
    waited = chunks(WAITING_EVENTS)
    index = max(index for index, block in enumerate(fold(WAITING_EVENTS)) if block["type"] == "tool_use")
    rest = new()
    rest.skip(fold(WAITING_EVENTS)[: index + 1])
    continued = chunks([snapshot(CONTINUED[:-4]), *CONTINUED[-4:]], rest)
    asked, done = read(tmp_path, [[waited], [waited, continued]])
    states = [(part.get("toolCallId"), part.get("state")) for part in asked["parts"] if "toolCallId" in part]
    assert states == [("own", "input-available"), ("ask", "approval-requested"), ("run", "output-available")]
    assert [part.get("providerExecuted", False) for part in asked["parts"] if "toolCallId" in part] == [
        False,
        False,
        True,
    ]
    kinds = [(part["type"], part.get("text", part.get("output"))) for part in done["parts"]]
    assert kinds == [
        ("step-start", None), ("text", "Adding"), ("dynamic-tool", "mine"), ("dynamic-tool", "asked"),
        ("dynamic-tool", "ran"), ("step-start", None), ("text", "Done"),
    ]  # fmt: skip
    assert "tool-input-available" not in [chunk["type"] for chunk in continued]


def test_each_part_of_an_answer_is_sent_once() -> None:
    for name, events in LOGS.items():
        converter = new()
        first = chunks(events, converter)
        assert chunks([snapshot(events), *events[-1:]], converter) == [], name
        starts = [
            (chunk["type"], chunk.get("id") or chunk.get("toolCallId")) for chunk in first if "start" in chunk["type"]
        ]
        assert len([start for start in starts if start[1]]) == len({start for start in starts if start[1]}), name


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("a call that was cut off", "tool-input-error", INCOMPLETE),
        ("a call without a result", "tool-output-error", NO_RESULT),
    ],
)
def test_a_call_that_has_no_result_ends_as_an_error(name: str, kind: str, text: str) -> None:
    assert [chunk["errorText"] for chunk in chunks(LOGS[name]) if chunk["type"] == kind] == [text]


def test_a_text_that_was_interrupted_stays_one_part() -> None:
    parts = parts_of(chunks(LOGS["a text that is continued after thinking"]))
    assert [part.get("text") for part in parts] == [None, "The sea is deep.", "On"]
    assert {part["state"] for part in parts[1:]} == {"done"}


@pytest.mark.parametrize("name", ["a call without a result", "a call that was cut off"])
def test_the_last_step_of_an_answer_that_has_ended_has_no_calls(name: str) -> None:
    """The AI SDK's helpers for `sendAutomaticallyWhen` would send the message again, and again."""
    assert [part["type"] for part in parts_of(chunks(LOGS[name]))][-2:] == ["dynamic-tool", "step-start"]


def test_each_source_is_a_part_once() -> None:
    sources = [part for part in parts_of(chunks(LOGS["sources"])) if part["type"].startswith("source-")]
    assert [source.get("url", source["title"]) for source in sources] == [WEB["url"], PAGE["document_title"]]
