"""Every answer ends, and its conversation stays usable, when one field of one of Claude's events is wrong.

`make mutations` tries 2,000 such mutations.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from client import Api, Json, sleep_between_polls
from mutations import Mutation, mutations
from running import running, tertulia
from scripted import model, says, sse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tertulia.simulator.request_rules import Refused, check

COUNT = int(os.environ.get("TERTULIA_MUTATIONS", "60"))
BATCH = 200 if COUNT > 200 else 30
CHOSEN = mutations(COUNT)
AT_ONCE = 12
WAIT = 60.0
GENERATION = """query ($id: ID!) { generation(id: $id) { status error { code }
  message { text content { __typename } } usage { inputTokens outputTokens costUsd } } }"""
READ = """query ($id: ID!) { conversation(id: $id) { messages(first: 9) { edges { node { text content { __typename index
  ... on TextBlock { text citations { citedText source startIndex endIndex } } ... on ThinkingBlock { text redacted }
  ... on ToolUseBlock { toolUseId name input partialJson } ... on ToolResultBlock { toolUseId output isError }
} } } } } }"""


class MutatedClaude:
    """Answers `mutation N` with the N-th stream, and any other text with "words". Records requests that Claude would
    refuse.
    """

    def __init__(self, chosen: list[Mutation]) -> None:
        self.bodies = [mutation.body() for mutation in chosen]
        self.refused: list[str] = []

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/messages", self._messages, methods=["POST"]),
                Route("/v1/models", self._models, methods=["GET"]),
            ]
        )

    async def _models(self, _request: Request) -> Response:
        return JSONResponse({"data": [model("claude-opus-5-5")], "has_more": False, "first_id": None, "last_id": None})

    async def _messages(self, request: Request) -> Response:
        body = await request.json()
        try:
            check(body)
        except Refused as refused:
            self.refused.append(str(refused))
        last = body["messages"][-1]["content"][-1]
        words = str(last.get("text", ""))
        if words.startswith("mutation "):
            return Response(self.bodies[int(words.split()[1])], media_type="text/event-stream")
        return Response(b"".join(sse(event) for event in says("words").pieces), media_type="text/event-stream")


def ended(api: Api, generation: str) -> Json:
    """Wait until a generation has ended, and return it."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        generation_: Json = api.ask(GENERATION, id=generation)["generation"]
        if generation_["status"] in {"COMPLETED", "FAILED", "STOPPED"}:
            return generation_
        sleep_between_polls()
    raise AssertionError("the answer did not end")


def try_mutation(api: Api, number: int) -> str:
    """Try one mutation, then send another message; return the status of the first answer."""
    sent = api.send(f"mutation {number}")
    first = ended(api, sent["generation"]["id"])
    conversation = sent["conversation"]["id"]
    api.ask(READ, id=conversation)
    again = ended(api, api.send("and now?", conversationId=conversation)["generation"]["id"])
    assert (again["status"], again["message"]["text"]) == ("COMPLETED", "words"), (first, again)
    return str(first["status"])


@pytest.fixture(scope="module")
def claude() -> Generator[tuple[MutatedClaude, str]]:
    mutated = MutatedClaude(CHOSEN)
    with running(mutated.app(), lifespan="off") as address:
        yield mutated, address


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for one database, so that each server starts with what the earlier ones stored."""
    return tmp_path_factory.mktemp("mutations")


@pytest.mark.parametrize(
    "first",
    [pytest.param(first, marks=pytest.mark.chaos if first else ()) for first in range(0, COUNT, BATCH)],
)
def test_each_mutated_answer_ends_and_its_conversation_can_be_continued(
    first: int, folder: Path, claude: tuple[MutatedClaude, str]
) -> None:
    mutated, address = claude
    keyed: dict[str, Any] = {"anthropic_api_key": "sk-ant-mutated", "anthropic_base_url": address}
    outcomes, failures = Counter[str](), dict[str, str]()
    with tertulia(folder, **keyed) as served, Api(served) as api:
        assert api.http.get("/readyz").status_code == 200
        with ThreadPoolExecutor(AT_ONCE) as pool:
            numbers = range(first, min(first + BATCH, COUNT))
            futures = {number: pool.submit(try_mutation, api, number) for number in numbers}
        for number, future in futures.items():
            if (error := future.exception()) is not None:
                failures[CHOSEN[number].name] = str(error)[:1000]
            else:
                outcomes[future.result()] += 1
    print(json.dumps({"tried": len(futures), "ended": outcomes}))
    assert failures == {}
    # Claude's rules accept the stored content in later requests.
    assert mutated.refused == []


@pytest.mark.parametrize("seed", [1, 2])
def test_mutations_are_reproducible_and_mostly_distinct(seed: int) -> None:
    names = [mutation.name for mutation in mutations(2000, seed)]
    assert names == [mutation.name for mutation in mutations(2000, seed)]
    assert len(set(names)) > 1000
