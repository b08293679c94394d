"""Documents that are too expensive, not allowed or not trusted are refused before they are executed."""

import hashlib
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from client import Api, Json
from graphql import get_introspection_query
from running import tertulia

from tertulia.server.settings import Settings

ME = "{ viewer { id } }"
CODE = "QUERY_TOO_COMPLEX"


def doubling(levels: int) -> str:
    """Return a document whose fragments each spread the next one twice."""
    chain = "".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }} " for n in range(levels))
    return f"{{ ...f0 }} {chain} fragment f{levels} on Query {{ viewer {{ id }} }}"


def deep(levels: int) -> str:
    inner = "id"
    for _ in range(levels):
        inner = f"lastMessage {{ conversation {{ {inner} }} }}"
    return f"{{ conversations(first: 1) {{ edges {{ node {{ {inner} }} }} }} }}"


TOO_MUCH = {
    "depth": deep(10),
    "depth by fragments": "{ node(id: 1) { ...a } }"
    + "".join(
        f" fragment {a} on Conversation {{ lastMessage {{ conversation {{ ...{b} }} }} }}"
        for a, b in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    + " fragment k on Conversation { id }",
    "aliases": "{" + " ".join(f"a{n}: viewer {{ id }}" for n in range(101)) + "}",
    "aliases of mutations": "mutation {"
    + " ".join(f'a{n}: deleteConversation(id: "x") {{ __typename }}' for n in range(101))
    + "}",
    "repeats": "{" + "__typename " * 500 + "}",
    "directives": "{ viewer { id " + "@skip(if: false) " * 10 + "} }",
    "unknown directives": "{ __typename " + "@aa" * 10 + " }",
    "directives all over": "{"
    + " ".join(f"a{n}: __typename @skip(if: false) @include(if: true)" for n in range(60))
    + "}",
    "fields": doubling(10),
    "fields by very many fragments": doubling(60),
    "repeats by inline fragments": "{" + "viewer { id name } " * 20 + "... { viewer { id } } " * 450 + "}",
    "repeats, padded": "{" + "viewer { id name } " * 20 + "... { viewer { id } } " * 300 + "}" + "#" * 20_000,
    "repeats by fragments on types": 'mutation { sendMessage(input: { text: "x" }) {'
    + "... on SendMessagePayload { conversation { id } } " * 240
    + "} }",
    "repeats further in": "{" + ("viewer {" + "usage { inputTokens } " * 20 + "} ") * 20 + "}",
    "spreads in the same place": "{ ...A } "
    "fragment A on Query {"
    + "... { viewer { ...B ...C ...D } } " * 60
    + "}"
    + "".join(f" fragment {name} on Viewer {{ id }}" for name in "BCD"),
    "fragments": "{ __typename }" + "".join(f" fragment f{n} on Query {{ __typename }}" for n in range(101)),
    "nesting": "{" + "... {" * 61 + "__typename" + "}" * 61 + "}",
    "length": "{ __typename }" + " " * 400_000,
    "introspection in aliases": "{"
    + " ".join(f"a{n}: __schema {{ types {{ fields {{ type {{ name }} args {{ name }} }} }} }}" for n in range(90))
    + "}",
    "introspection of large types": "{"
    + " ".join(
        f'a{n}: __type(name: "Query") {{ fields {{ type {{ fields {{ args {{ name }} }} }} }} }}' for n in range(90)
    )
    + "}",
    "cost": "{ conversations(first: 100) { edges { node { messages(first: 100) { edges { node { id role text createdAt } } } } } } }",
    "cost of fragments on one type": "{ nodes(ids: ["
    + '"x",' * 50
    + "]) {"
    + " ".join(
        f"... on Conversation {{ {name}: messages(first: 100) {{ edges {{ node {{ id text }} }} }} }}" for name in "ab"
    )
    + "} }",
    "cost by default sizes": "{ conversations { edges { node { messages { edges { node { siblings { siblings { siblings { id } } } } } } } } } }",
    "cost of searches": "{"
    + " ".join(f'a{n}: searchMessages(query: "x", first: 100) {{ edges {{ excerpt score }} }}' for n in range(90))
    + "}",
    "cost of ids": "{ nodes(ids: ["
    + '"x",' * 100
    + "]) { ... on Conversation { messages(first: 100) { edges { node { id text role createdAt siblings { id } } } } } } }",
}


@pytest.mark.parametrize("document", TOO_MUCH.values(), ids=TOO_MUCH)
def test_a_document_that_exceeds_a_limit_is_refused_and_the_limit_is_named(api: Api, document: str) -> None:
    refused = api.post(document)
    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["extensions"]["code"]) == (400, CODE)
    assert "at most" in error["message"]
    assert "data" not in refused.json()


@pytest.mark.parametrize("size", [{"n": 100}, {}])
def test_sizes_in_variables_count_towards_the_cost(api: Api, size: Json) -> None:
    document = """query ($n: Int = 100) { conversations(first: $n) { edges { node {
        messages(first: 100) { edges { node { id text role createdAt } } } } } } }"""
    (error,) = api.errors(document, **size)
    assert error["extensions"]["code"] == CODE
    assert "data" in api.post(document, {"n": 1}).json()


NODES = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
CREATE = "mutation ($input: CreateConversationInput!) { createConversation(input: $input) { __typename } }"


@pytest.mark.parametrize(
    ("document", "variables", "says"),
    [
        (
            NODES,
            {"ids": ["x"] * 10_000},
            "`variables.ids` is too large: the variables of a request can have at most 5,000",
        ),
        (
            CREATE,
            {"input": {f"x{n}": 1 for n in range(1000)}},
            "`variables.input` must be a CreateConversationInput, which",
        ),
        (
            CREATE,
            {"input": {"tools": {"client": [{"x": 1}] * 10_000}}},
            "`variables.input.tools.client` is too large: the variables of a request can have at most 5,000",
        ),
    ],
    ids=["a long list", "unknown entries", "a long list inside"],
)
def test_invalid_variables_are_refused_before_they_are_read(
    api: Api, document: str, variables: Json, says: str
) -> None:
    (error,) = api.errors(document, **variables)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["message"].startswith(says)


def test_the_size_of_a_response_is_limited_however_often_a_text_is_selected(api: Api) -> None:
    sent = api.send("long " * 30_000)
    api.follow(sent["generation"]["id"])
    id = sent["conversation"]["id"]
    messages = "messages(first: 100) { edges { node { text } } }"
    texts = "messages(first: 1) { edges { node {" + " ".join(f"t{n}: text" for n in range(90)) + "} } }"
    for document in (
        "{" + " ".join(f'a{n}: conversation(id: "{id}") {{ {messages} }}' for n in range(90)) + "}",
        f'{{ conversation(id: "{id}") {{ {texts} }} }}',
        f'{{ conversation(id: "{id}") {{ {texts} }} __schema {{ __typename }} }}',
    ):
        refused = api.post(document)
        (error,) = refused.json()["errors"]
        assert (error["extensions"]["code"], "data" in refused.json()) == (CODE, False)
        assert "at most" in error["message"] or "more than" in error["message"]
    assert api.ask(f'{{ conversation(id: "{id}") {{ {messages} }} }}')["conversation"]


def test_over_a_socket_only_the_operation_is_refused_and_the_socket_stays_open(api: Api) -> None:
    with api.socket() as socket:
        id = socket.subscribe(TOO_MUCH["cost"], {})
        refused = socket.receive()
        assert (refused["type"], refused["id"], refused["payload"][0]["extensions"]["code"]) == ("error", id, CODE)
        socket.send({"type": "ping"})
        assert socket.receive() == {"type": "pong"}


@pytest.mark.parametrize(
    "document",
    [
        "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
        "{ ...a } fragment a on Query { ...a }",
        "{ ...missing }",
        "{" * 150,
        "{ viewer { id } } " + "#" * 100_000,
        "query (" + "$a: Int " * 2000 + ") { __typename }",
        "{ viewer(a: " + "[" * 150 + "]" * 150 + ") { id } }",
        "{ __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }",
    ],
)
def test_a_malformed_document_is_a_parse_or_validation_error(api: Api, document: str) -> None:
    answered = api.post(document)
    codes = {error["extensions"]["code"] for error in answered.json().get("errors", [])}
    assert codes <= {"GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"}
    assert answered.status_code in (200, 400)


def test_usual_documents_are_within_all_limits(api: Api) -> None:
    assert "__schema" in api.ask(get_introspection_query(descriptions=True, input_value_deprecation=True))
    assert api.conversation(api.send("Hello")["conversation"]["id"])


# ---- without introspection ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    with tertulia(tmp_path_factory.mktemp("closed"), introspection=False) as address, Api(address) as api:
        yield api


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        ("{ viewr { id } }", {}),
        ("{ viewer { nam } }", {}),
        ('{ conversation(idd: "x") { id } }', {}),
        ("{ conversations(order: OLDES) { edges { cursor } } }", {}),
        (
            "query ($order: ConversationOrder!) { conversations(order: $order) { edges { cursor } } }",
            {"order": "OLDES"},
        ),
        ("mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }", {"input": {"txt": "x"}}),
        ("{ ... on Conversatio { id } }", {}),
    ],
)
def test_without_introspection_errors_suggest_no_names(api: Api, closed: Api, document: str, variables: Json) -> None:
    assert "Did you mean" in json.dumps(api.errors(document, **variables))
    assert "Did you mean" not in json.dumps(closed.errors(document, **variables))


def test_introspection_can_be_turned_off(closed: Api) -> None:
    for document in ("{ __schema { types { name } } }", '{ __type(name: "Query") { name } }'):
        assert closed.errors(document)[0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert closed.http.get("/graphql", headers={"accept": "text/html"}).status_code == 404
    assert closed.ask("{ __typename viewer { __typename } }")["__typename"] == "Query"


# ---- persisted documents ------------------------------------------------------------------------


def persisted(text: str) -> Json:
    return {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(text.encode()).hexdigest()}}


def test_apollos_automatic_persisted_queries_are_supported(fresh: Api) -> None:
    unknown = fresh.http.post("/graphql", json={"extensions": persisted(ME)})
    (error,) = unknown.json()["errors"]
    assert (error["message"], error["extensions"]["code"]) == ("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
    assert "data" in fresh.http.post("/graphql", json={"query": ME, "extensions": persisted(ME)}).json()
    assert "data" in fresh.http.post("/graphql", json={"extensions": persisted(ME)}).json()
    by_get = fresh.http.get("/graphql", params={"extensions": json.dumps(persisted(ME))})
    assert "data" in by_get.json()
    with fresh.socket() as socket:
        socket.send({"type": "subscribe", "id": "1", "payload": {"extensions": persisted(ME)}})
        assert socket.receive()["type"] == "next"
        assert socket.receive()["type"] == "complete"
        socket.send({"type": "subscribe", "id": "2", "payload": {"extensions": persisted("{ x }")}})
        assert socket.receive()["payload"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"


@pytest.mark.parametrize(
    "extensions",
    [
        {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}},
        {"persistedQuery": {"version": 2, "sha256Hash": "0" * 64}},
        {"persistedQuery": {"version": 1, "sha256Hash": 5}},
        {"persistedQuery": {"version": 1, "sha256Hash": "short"}},
        {"persistedQuery": "x"},
    ],
)
def test_a_wrong_hash_is_refused(api: Api, extensions: Any) -> None:
    refused = api.http.post("/graphql", json={"query": ME, "extensions": extensions})
    assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize(
    "file",
    [
        {"viewer-1": ME},
        {"format": "apollo-persisted-query-manifest", "version": 1,
         "operations": [{"id": "viewer-1", "body": ME, "name": "Viewer", "type": "query"}]},
    ],
)  # fmt: skip
def test_with_a_file_of_trusted_documents_only_these_are_executed(tmp_path: Path, file: Json) -> None:
    documents = tmp_path / "documents.json"
    documents.write_text(json.dumps(file))
    trusted = Settings.model_validate({"persisted_queries": str(documents)}).persisted_queries
    with tertulia(tmp_path, persisted_queries=trusted) as address, Api(address) as api:
        for asked in ({"documentId": "viewer-1"}, {"query": ME}, {"extensions": persisted(ME)}):
            assert "data" in api.http.post("/graphql", json=asked).json(), asked
        other = "{ viewer { name } }"
        for refused in ({"query": other}, {"query": other, "extensions": persisted(other)}, {"documentId": "x"}):
            (error,) = api.http.post("/graphql", json=refused).json()["errors"]
            assert error["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
        with api.socket() as socket:
            socket.subscribe(other, {})
            assert socket.receive()["type"] == "error"
