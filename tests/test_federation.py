"""The schema as a subgraph: routers read its entities as the viewer, and others' composition accepts it."""

import asyncio
import shutil
from collections.abc import Generator
from pathlib import Path
from uuid import uuid4

import pytest
from client import Api
from npm import NODE, run
from people import MODE, register, signed
from running import tertulia

from tertulia.schema.federation import KEYS, query_types, subgraph_sdl
from tertulia.schema.own_fields import schema_with
from tertulia.schema.root import schema

EXAMPLE = Path(__file__).parents[1] / "examples" / "supergraph"
SUBGRAPH = schema_with(federation=query_types(introspection=True))
ENTITIES = "query ($keys: [_Any!]!) { found: _entities(representations: $keys) { __typename ... on Node { id } ... on Viewer { id name } ... on Conversation { title } ... on Message { text } } }"
CORE = f"{ENTITIES[:-1]} schema: __schema {{ __typename }} }}"
"""The same with a selection that the fast path does not support."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with tertulia(tmp_path_factory.mktemp("subgraph"), **MODE, federation=True) as address:
        yield address


@pytest.fixture(scope="module")
def ada(address: str) -> Generator[Api]:
    with signed(address, register(address, "ada")) as api:
        yield api


def key(type_name: str, id: object) -> dict[str, object]:
    return {"__typename": type_name, "id": id}


def test_a_router_reads_the_viewers_entities_in_the_order_of_their_keys(address: str, ada: Api) -> None:
    sent = ada.send("Hello", externalId="order 1")
    ada.follow(sent["generation"]["id"])
    viewer = ada.ask("{ viewer { id } }")["viewer"]["id"]
    conversation, message, generation = (sent[name]["id"] for name in ("conversation", "userMessage", "generation"))
    keys = [
        key("Message", message),
        key("Viewer", viewer),
        {"__typename": "Conversation", "externalId": "order 1"},
        key("Generation", generation),
        key("Conversation", conversation),
        # No type has these keys.
        key("Message", conversation),
        key("Viewer", str(uuid4())),
        key("Attachment", "unknown"),
        {"__typename": "Conversation", "externalId": "order 2"},
    ]
    names = ["Message", "Viewer", "Conversation", "Generation", "Conversation"]
    found = ada.ask(ENTITIES, keys=keys)["found"]
    assert [item and (item["__typename"], item["id"]) for item in found] == [
        *zip(names, [message, viewer, conversation, generation, conversation], strict=True),
        *[None] * 4,
    ]
    assert found[0]["text"] == "Hello"
    assert found[1]["name"] == "ada"
    assert ada.ask(CORE, keys=keys)["found"] == found
    with signed(address, register(address, "eve")) as eve:
        assert eve.ask(ENTITIES, keys=keys)["found"] == [None] * len(keys)


def test_a_wrong_representation_is_refused_with_the_reason(ada: Api) -> None:
    types = ", ".join(KEYS)
    for wrong, reason in (
        ({"id": "1"}, f"`__typename` is one of {types}."),
        ("Viewer", f"`__typename` is one of {types}."),
        ({"__typename": ["Viewer"]}, f"`__typename` is one of {types}."),
        (key("Model", "1"), f"`__typename` is one of {types}."),
        (key("Message", 1), "A representation of Message must have the string `id`."),
        ({"__typename": "Conversation"}, "of Conversation must have the string `id` or `externalId`."),
        ({"__typename": "Conversation", "externalId": ""}, "`externalId` must have 1 to"),
    ):
        (error,) = ada.errors(ENTITIES, keys=[wrong])
        assert reason in error["message"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
    (error,) = ada.errors(ENTITIES, keys=[key("Message", "1")] * 101)
    assert error["message"] == "`representations` must have at most 100 items, not 101."
    assert ada.ask(ENTITIES, keys=[])["found"] == []


def test_each_representation_counts_in_the_cost_of_an_operation(ada: Api) -> None:
    below = "{ ... on Conversation { messages(first: 100) { edges { node { id text } } } } }"
    costly = f"query ($keys: [_Any!]!) {{ found: _entities(representations: $keys) {below} }}"
    assert ada.ask(costly, keys=[key("Conversation", "1")])["found"] == [None]
    (error,) = ada.errors(costly, keys=[key("Conversation", "1")] * 100)
    assert error["extensions"]["code"] == "QUERY_TOO_COMPLEX"


def test_the_service_returns_the_schema_with_directives_of_federation(ada: Api) -> None:
    sdl = ada.ask("{ _service { sdl } }")["_service"]["sdl"]
    assert sdl == subgraph_sdl(SUBGRAPH)
    assert 'type Conversation implements Node @key(fields: "id") @key(fields: "externalId") {' in sdl
    assert all(f'type {name} implements Node @key(fields: "id")' in sdl for name in KEYS if name != "Viewer")
    assert 'type Viewer @key(fields: "id") {' in sdl
    assert "type PageInfo @shareable {" in sdl


def test_without_introspection_the_service_does_not_exist() -> None:
    closed = schema_with(federation=query_types(introspection=False))
    errors = asyncio.run(closed.prepare("{ _service { sdl } }", closed=True)).errors
    assert ["Cannot query field '_service'" in error.message for error in errors] == [True]
    assert asyncio.run(closed.prepare("{ _entities(representations: []) { __typename } }", closed=True)).errors == []


def test_a_server_has_the_fields_of_a_subgraph_only_if_it_is_one(api: Api) -> None:
    assert "_entities" not in schema.as_str()
    (error,) = api.errors("{ _service { sdl } }")
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.needs("node", "tests/node")
def test_the_example_is_composed_and_a_gateway_sends_follows_and_joins(address: str, tmp_path: Path) -> None:
    example = tmp_path / "supergraph"
    shutil.copytree(EXAMPLE, example, ignore=shutil.ignore_patterns("node_modules"))
    (example / "node_modules").symlink_to(NODE / "node_modules")
    seen = run("federation.mjs", address, register(address, "grace")["access_token"], str(example))
    assert (seen["problems"], seen["hasSupergraph"]) == ([], [True, True])
    assert seen["sent"]["data"]["sendMessage"]["conversation"] == {"order": {"product": "Lamp"}}
    events = [event["data"]["generationEvents"]["__typename"] for event in seen["followed"]]
    assert events[-1] == "GenerationCompleted"
    viewer = seen["viewer"]["data"]["viewer"]
    lamp, chair = viewer["orders"]
    assert viewer["name"] == "grace"
    assert (lamp["product"], chair) == ("Lamp", {"product": "Chair", "conversation": None})
    assert lamp["conversation"]["messages"]["edges"][0]["node"]["text"] == "Where is my lamp?"
    assert seen["stranger"].get("data") is None or seen["stranger"]["data"]["viewer"] is None
