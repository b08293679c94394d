"""Documents that tools return: Claude cites them, and clients get the title and the address of each source."""

import asyncio
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import anthropic
import pytest
from client import Api, Json
from test_simulator_tools import WHO, ask, assistant_message, claude, refusal, tool_result, tool_use, user_message
from test_tools import answer, call, conversation_of, results, served
from test_transfer import SCHEMA, export, imported, without_ids

from tertulia.attachments.media import PictureRoom
from tertulia.claude.prompt import Turn, build_request, with_pictures
from tertulia.tools.base import Image, Result
from tertulia.tools.documents import Document
from tertulia.tools.execution import blocks_of
from tertulia.tools.result_size import limited

__all__ = ["claude"]

CITED = """query ($id: ID!) { conversation(id: $id) { messages(first: 2) { edges { node { content {
  ... on TextBlock { citations { citedText source title url startIndex endIndex } } } } } } } }"""


def citations(api: Api, conversation: str) -> list[Json]:
    edges = api.ask(CITED, id=conversation)["conversation"]["messages"]["edges"]
    return [citation for edge in edges for block in edge["node"]["content"] for citation in block.get("citations", [])]


def test_claude_cites_the_documents_of_a_tool_with_their_titles_and_addresses(tmp_path: Path) -> None:
    with served(tmp_path, "source_tools") as api:
        generation, done = answer(api, call("look_up"))
        (result,) = results(done)
        assert [block["type"] for block in result["output"]] == ["text", "search_result", "search_result"]
        assert result["output"][1]["title"] == "All about returns"
        conversation = conversation_of(api, generation)
        place = {"startIndex": 0, "endIndex": 1}
        address = "https://example.com/returns"
        assert citations(api, conversation) == [
            {"citedText": "Within 30 days.", "source": address, "title": "All about returns", "url": address, **place},
            {"citedText": "Ask about returns.", "source": "handbook §7", "title": "The handbook", "url": None, **place},
        ]
        # With an output schema, the API accepts no citations, also in the history.
        schema = {"options": {"outputSchema": SCHEMA}, "conversationId": conversation}
        assert answer(api, "In JSON", **schema)[1]["__typename"] == "GenerationCompleted"
        assert answer(api, call("look_up"), **schema)[1]["__typename"] == "GenerationCompleted"
        exported = export(api)
        imported(api, exported)
        both = without_ids(export(api))
        assert len(both) == 2 * len(without_ids(exported))
        markdown = export(api, f"/export/{conversation}?format=markdown").decode()
    assert "> Within 30 days. (All about returns, https://example.com/returns)" in markdown


def test_a_long_document_is_cut_with_a_note_and_an_invalid_one_fails_its_call(tmp_path: Path) -> None:
    with served(tmp_path, "source_tools") as api:
        long, nothing = results(answer(api, call("look_up_long", "look_up_nothing"))[1])
    document, note = long["output"]
    assert [len(passage["text"]) for passage in document["content"]] == [150_000, 50_000]
    assert (
        note["text"]
        == "[The result was cut: it has 300,001 bytes, of which the first 200,000 are above. Request less.]"
    )
    assert nothing["output"].startswith("The tool failed (trace id ")


def test_a_result_is_cut_between_characters_and_keeps_its_pictures() -> None:
    picture, document = Image(b"x"), Document("t", "s", ["é" * 4])
    cut = limited(Result(["é" * 4, picture, document, "end"], is_json=False), 10)
    assert cut.parts[:3] == ["é" * 4, picture, Document("t", "s", ["é"])]
    assert str(cut.parts[3]).startswith("[The result was cut: it has 19 bytes")
    assert limited(Result(["{}" * 9], is_json=True), 4).is_json is False
    assert limited(Result(["{}"], is_json=True), 4) == Result(["{}"], is_json=True)


@pytest.mark.parametrize("is_json", [True, False])
def test_a_stored_result_tells_whether_it_is_json(*, is_json: bool) -> None:
    room, no_files = PictureRoom([], 0, None, inline=True), cast("Any", None)
    (stored,) = asyncio.run(blocks_of("toolu_1", Result(["{}"], is_json=is_json), no_files, room, uuid4(), uuid4()))
    assert stored.get("is_json", False) is is_json


def test_documents_and_pictures_of_one_result_are_sent_together() -> None:
    found = {"type": "search_result", "title": "t", "source": "s", "content": [{"type": "text", "text": "x"}]}
    picture = {"type": "image", "source": {}, "of": "toolu_1"}
    turns = [
        Turn("user", [{"type": "text", "text": "Hi"}]),
        Turn("assistant", [tool_use(), tool_result("toolu_1", [found]), picture]),
    ]
    body, _ = build_request(
        model="m", max_output_tokens=None, system_prompt=None, options={}, forms=None, turns=turns, tools=[WHO]
    )
    assert with_pictures(body)["messages"][2]["content"][0]["content"] == [found, {"type": "image", "source": {}}]


FOUND: Json = {
    "type": "search_result",
    "title": "Tea",
    "source": "https://example.com/tea",
    "content": [{"type": "text", "text": "Two minutes."}],
    "citations": {"enabled": True},
}


def test_the_simulated_claude_counts_search_results_over_the_whole_request(claude: anthropic.Anthropic) -> None:
    history = [user_message(FOUND, {"type": "text", "text": "Hi"}), assistant_message(tool_use())]
    message = ask(claude, *history, user_message(tool_result("toolu_1", [FOUND])))
    cited: Any = [citation for block in message.content if block.type == "text" for citation in block.citations or ()]
    assert [(citation.search_result_index, citation.title, citation.source) for citation in cited] == [
        (1, "Tea", "https://example.com/tea")
    ]


@pytest.mark.parametrize(
    ("result", "more", "says"),
    [
        ({**FOUND, "citations": {"enabled": False}}, {}, "citations must be enabled for all `search_result` blocks"),
        (FOUND, {"output_config": {"format": {"type": "json_schema", "schema": {}}}}, "citations cannot be enabled"),
        ({**FOUND, "title": ""}, {}, "search_result.title: Field required"),
    ],
)
def test_the_simulated_claude_checks_search_results_of_tools(
    claude: anthropic.Anthropic, result: Json, more: Json, says: str
) -> None:
    first = user_message("Hi") if more else user_message(FOUND)
    turns = [first, assistant_message(tool_use()), user_message(tool_result("toolu_1", [result]))]
    assert says in refusal(claude, *turns, **more)
