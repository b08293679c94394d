"""The parts `shared` and `filter`: the cached input of an assistant's users, and the cost of `transform_text`."""

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx2

from bench.options import Options
from bench.parts.caching import SEND, ended
from bench.parts.streams import steady
from bench.peers.candidates import ASSISTANT, TERTULIA_ITSELF, Stage
from bench.processes import folder
from bench.report import Report
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.hooks import Hooks
from tertulia.json import Json
from tertulia.streams.events import GenerationEvent
from tertulia.text_filters import TextStream

USERS = 50
MESSAGES = 2
INSTRUCTIONS = "You are the support agent of Acme. You answer with care, and say where you are not sure. " * 135
"""About 3,000 tokens."""
OF_USER = "The user is {{ viewer.name }}, with the plan {{ viewer.claims.plan }}. Today is {{ date }}."
FIRST, LAST = "variables first", "variables last"
TEXT = "Where is my order?"
SHARE = "share of the input from the cache"

STREAMS = 20
DELTAS = 20_000
PLAIN, IDENTITY, REDACTOR = "tertulia", "a filter that changes nothing", "a Redactor"
HOOKS = """from tertulia import Redactor, TextFilter, TextStream, hook

class Identity:
    def feed(self, text: str) -> str:
        return text

    def finish(self) -> str:
        return ""

@hook(timeout=1, on_error="refuse")
def transform_text(stream: TextStream) -> TextFilter:
    return {result}
"""
FILTERS = {
    IDENTITY: "Identity()",
    REDACTOR: r'Redactor(r"\b\d(?:[ -]?\d){12,15}\b", "[card number]", longest=52)',
}
"""The results of the hook. The `Redactor` holds back two whole tokens, because the load expects whole ones."""


def shared(stage: Stage, report: Report, options: Options) -> None:
    """Send messages of many users to one assistant, and add the share of the input that the simulator's cache has.

    The simulator reads a prefix from its cache only at breakpoints of earlier requests, as Claude does.
    """
    users = options.count(USERS)
    for candidate, body in ((LAST, f"{INSTRUCTIONS}\n\n{OF_USER}"), (FIRST, f"{OF_USER}\n\n{INSTRUCTIONS}")):
        first, later = _tokens(stage, body, users)
        report.add("shared", f"first messages: {SHARE}", candidate, _share(first), "%")
        report.add("shared", f"all messages: {SHARE}", candidate, _share(first + later), "%")


def _share(usages: list[Json]) -> float:
    read: int = sum(usage["cacheReadTokens"] for usage in usages)
    other: int = sum(usage["inputTokens"] + usage["cacheWriteTokens"] for usage in usages)
    return 100 * read / (read + other)


def _tokens(stage: Stage, body: str, users: int) -> tuple[list[Json], list[Json]]:
    """Return the tokens of all first messages, and those of all later ones."""
    variables = {
        "ANTHROPIC_API_KEY": "",
        "ANTHROPIC_BASE_URL": "",
        "TERTULIA_SIMULATOR_PACE": "0",
        "TERTULIA_ASSISTANTS": "assistants",
    }
    with folder() as place:
        (place / "assistants").mkdir()
        (place / "assistants" / "support.md").write_text(f"---\nname: Support\n---\n{body}\n")
        with stage.server(ASSISTANT, variables, place) as server:
            conversations = [_conversation(server.port, number) for number in range(users)]
    return [usages[0] for usages in conversations], [usage for usages in conversations for usage in usages[1:]]


def _conversation(port: int, number: int) -> list[Json]:
    """Send the messages of a user, and return the tokens of each."""
    usages: list[Json] = []
    with httpx2.Client(headers={"Authorization": f"Bearer user {number}"}, timeout=60) as client:

        def ask(query: str, variables: Json) -> Json:
            response: Any = client.post(
                f"http://127.0.0.1:{port}/graphql", json={"query": query, "variables": variables}
            ).json()
            data: Json = response["data"]
            return data

        input: Json = {"text": TEXT}
        for _ in range(MESSAGES):
            sent = ask(SEND, {"input": input})["sendMessage"]
            usages.append(ended(ask, sent["generation"]["id"])["usage"])
            input["conversationId"] = sent["conversation"]["id"]
    return usages


def _cpu_of_delta(result: str | None) -> float:
    """Return the microseconds that a delta of a token takes until it is an event."""
    answer = AnswerAccumulator(uuid4())
    if result is not None:
        module: dict[str, Any] = {}
        exec(HOOKS.replace("{result}", result), module)
        hooks = Hooks(SimpleNamespace(transform_text=module["transform_text"]))
        answer.new_filter = hooks.text_filters(TextStream(uuid4(), "ada", uuid4(), answer.generation_id))
    output: list[GenerationEvent] = []
    block: Json = {"type": "text", "text": ""}
    answer.process([{"type": "content_block_start", "index": 0, "content_block": block}], output)
    delta: Json = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "0123 tokens "}}
    begun = time.process_time_ns()
    for _ in range(DELTAS):
        answer.process([delta], output)
        output.clear()
    return (time.process_time_ns() - begun) / DELTAS / 1000


def filtered(stage: Stage, report: Report, options: Options) -> None:
    """Measure the CPU per token without a filter and with each of the filters: of the whole server, and of a delta."""
    for name in options.turns(PLAIN, *FILTERS):
        result = FILTERS.get(name)
        report.add("filter", "a delta in the accumulator: CPU", name, _cpu_of_delta(result), "µs")
        candidate = replace(TERTULIA_ITSELF, name=name)
        with folder() as place:
            (place / "filtering.py").write_text(HOOKS.replace("{result}", result or "None"))
            hooks = {"TERTULIA_HOOKS": "filtering"} if result else {}
            steady(stage, report, candidate, "filter", options, STREAMS, variables=hooks, place=place)
