"""The simulated Claude's citations of search results, in the user's message and in the results of tools.

Source: "Search results" in the Claude API documentation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tertulia.json import Json
from tertulia.simulator.request_rules import as_blocks, cites
from tertulia.simulator.script import Plan, Step, delta, text_steps


def new_results(body: Json) -> list[tuple[int, Json]]:
    """Return the search results of the user's last messages, each with its number among all of the request."""
    results: list[tuple[int, Json]] = []
    number = 0
    for message in body["messages"]:
        if message["role"] == "assistant":
            results = []
            continue
        for block in _results_in(as_blocks(message["content"])):
            results.append((number, block))
            number += 1
    return results


def cited(answer: Plan, results: Sequence[tuple[int, Json]]) -> Plan:
    """Return the answer, followed by the first passage of each search result with its citation."""
    for number, result in results:
        if cites(result):
            answer = _with_passage(answer, number, result)
    return answer


def _with_passage(answer: Plan, number: int, result: Json) -> Plan:
    index, excerpt = len(answer.blocks), result["content"][0]["text"]
    citation = {
        "type": "search_result_location",
        "cited_text": excerpt,
        "source": result["source"],
        "title": result["title"],
        "search_result_index": number,
        "start_block_index": 0,
        "end_block_index": 1,
    }
    words = f" {result['title']} says: “{excerpt}”"
    start_step, *delta_steps, stop_step = text_steps(index, words)
    steps = [*answer.steps, start_step, Step(delta(index, {"type": "citations_delta", "citation": citation}))]
    text = {"type": "text", "text": words, "citations": [citation]}
    return replace(answer, blocks=[*answer.blocks, text], steps=[*steps, *delta_steps, stop_step])


def _results_in(blocks: Sequence[Json]) -> Iterator[Json]:
    for block in blocks:
        if block["type"] == "search_result":
            yield block
        elif block["type"] == "tool_result":
            yield from _results_in(as_blocks(block.get("content") or []))
