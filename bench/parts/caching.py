"""The part `caching`: the input cost of a long conversation with and without prompt caching, in the simulated cache."""

import time
from collections.abc import Callable
from functools import partial
from io import BytesIO

import httpx2
from PIL import Image

from bench.options import Options
from bench.peers.candidates import TERTULIA_ITSELF, Stage
from bench.processes import Json
from bench.report import Report
from bench.wire import fetch

TURNS = 50
SYSTEM = "You answer with care, and say where you are not sure. " * 222
"""About 3,000 tokens."""
QUESTION = "/simulate long 130\n" + "What else should one know of the history of bridges? " * 15
"""About 400 tokens, with its answer."""
CREATE = """mutation ($input: CreateConversationInput!) { createConversation(input: $input) {
  ... on ConversationPayload { conversation { id } } } }"""
SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
  ... on SendMessagePayload { conversation { id } generation { id } } ... on Error { message } } }"""
GENERATION = """query ($id: ID!) { generation(id: $id) {
  status usage { inputTokens cacheReadTokens cacheWriteTokens costUsd } } }"""
WRITE, READ = 1.25, 0.05
"""Prices of cache writes and reads of the default model, as a share of its input price."""
PAGES = 50
SHOWN = (1, 10, 25, 50)


def caching(stage: Stage, report: Report, options: Options) -> None:
    """Run two conversations with and without caching. The simulated Claude's cache determines the billed tokens."""
    for what, pages in (("a long system prompt", 0), (f"a PDF of {PAGES} pages", PAGES)):
        _compare(stage, report, options.count(TURNS), what, pages)


def _compare(stage: Stage, report: Report, turns: int, what: str, pages: int) -> None:
    billed = {name: _billed(stage, turns, pages, caching=name == "cached") for name in ("cached", "uncached")}
    for name, costs in billed.items():
        for turn in SHOWN:
            if turn <= turns:
                report.add("caching", f"{what}, turn {turn}: billed input", name, costs[turn - 1], "uncached tokens")
        report.add("caching", f"{what}: billed input", name, sum(costs), "uncached tokens")
        # The new text costs the same in each turn, so only the tokens that are read from the cache may grow.
        report.add("caching", f"{what}: last turn / second turn", name, costs[-1] / costs[1])


def _billed(stage: Stage, turns: int, pages: int, *, caching: bool) -> list[float]:
    simulated = {"ANTHROPIC_API_KEY": "", "ANTHROPIC_BASE_URL": "", "TERTULIA_SIMULATOR_PACE": "0"}
    with stage.server(TERTULIA_ITSELF, simulated | {"TERTULIA_PROMPT_CACHING": str(caching)}) as server:
        ask = partial(_ask, server.port)
        conversation = ask(CREATE, {"input": {"systemPrompt": SYSTEM}})["createConversation"]["conversation"]["id"]
        attachments = [_upload(server.port, pages)] if pages else []
        first = _turn(ask, {"conversationId": conversation, "text": QUESTION, "attachmentIds": attachments})
        return [first, *(_turn(ask, {"conversationId": conversation, "text": QUESTION}) for _ in range(turns - 1))]


def _upload(port: int, pages: int) -> str:
    blank, document = Image.new("1", (100, 140)), BytesIO()
    blank.save(document, "PDF", save_all=True, append_images=[blank] * (pages - 1))
    files = {"file": ("bridges.pdf", document.getvalue())}
    sent = httpx2.post(f"http://127.0.0.1:{port}/attachments", files=files, timeout=60)
    return str(sent.raise_for_status().json()["id"])


def ended(ask: Callable[[str, Json], Json], id: str) -> Json:
    """Wait until an answer has ended, and return its generation. `ask` sends a query with variables."""
    while (generation := ask(GENERATION, {"id": id})["generation"])["status"] in ("QUEUED", "RUNNING"):
        time.sleep(0.02)
    result: Json = generation
    return result


def _turn(ask: Callable[[str, Json], Json], input: Json) -> float:
    usage = ended(ask, ask(SEND, {"input": input})["sendMessage"]["generation"]["id"])["usage"]
    return float(usage["inputTokens"] + WRITE * usage["cacheWriteTokens"] + READ * usage["cacheReadTokens"])


def _ask(port: int, query: str, variables: Json) -> Json:
    answer = fetch(port, "/graphql", {"query": query, "variables": variables})
    data: Json = answer["data"]
    return data
