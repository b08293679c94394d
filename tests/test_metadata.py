"""Metadata and external ids: data of the application on conversations and messages, which it can find them by."""

import asyncio
import json
import threading
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any
from uuid import UUID, uuid4

import pytest
from client import WAIT, Api, Json
from hypothesis import given
from hypothesis import strategies as st
from people import MODE, register, signed
from running import tertulia
from servers import Servers
from sqlalchemy import event, text

from tertulia.db import conversations
from tertulia.db.conversations import Filter
from tertulia.db.database import Database
from tertulia.db.metadata import filter_terms, terms_of
from tertulia.db.paging import Page

CREATE = """mutation ($input: CreateConversationInput!) { createConversation(input: $input) { __typename
  ... on ConversationPayload { created conversation { id title externalId metadata } }
  ... on InvalidInput { field message } } }"""
UPDATE = """mutation ($input: UpdateConversationInput!) { updateConversation(input: $input) { __typename
  ... on ConversationPayload { created conversation { id metadata } } ... on InvalidInput { field message } } }"""
UPDATE_MESSAGE = """mutation ($input: UpdateMessageInput!) { updateMessage(input: $input) { __typename
  ... on MessagePayload { updatedMessage { id metadata text } } ... on InvalidInput { field message } } }"""
SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename
  ... on SendMessagePayload { conversation { id externalId } userMessage { id metadata } generation { id message { id } } }
  ... on InvalidInput { field message } } }"""
EDIT = SEND.replace("SendMessageInput", "EditMessageInput").replace("sendMessage", "editMessage")
FORK = """mutation ($id: ID!) { forkConversation(input: {messageId: $id}) {
  ... on ConversationPayload { created conversation { id externalId metadata
    messages { edges { node { metadata } } } } } } }"""
LIST = """query ($contains: JSON!, $first: Int, $after: String) {
  conversations(first: $first, after: $after, filter: {metadata: {contains: $contains}}, order: NEWEST) {
    edges { node { title } } pageInfo { hasNextPage endCursor } } }"""
FIND = "query ($id: String) { conversation(externalId: $id) { id metadata } }"
ORDER: Json = {"order": {"id": 42, "tags": ["new", "gift"], "items": [{"sku": "tea"}]}, "paid": True, "n": 1.0}


@pytest.fixture(scope="module")
def place(setup: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Json:
    """The storage that all servers of this file share."""
    folder = tmp_path_factory.mktemp("metadata")
    if setup.startswith("sqlite"):
        return {"database_url": f"sqlite+aiosqlite:///{folder / 'tertulia.db'}"}
    servers: Servers = request.getfixturevalue("servers")
    return servers.settings()


@pytest.fixture(scope="module")
def address(place: Json, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    unlimited = {"rate_limit": "100000", "request_limit": "100000"}
    with tertulia(tmp_path_factory.mktemp("server"), **place, **MODE, **unlimited) as address:
        yield address


@pytest.fixture
def api(address: str) -> Generator[Api]:
    """A user without conversations."""
    with signed(address, register(address, f"user-{uuid4().hex[:12]}")) as client:
        yield client


def create(api: Api, **input: Any) -> Json:
    created: Json = api.ask(CREATE, input=input)["createConversation"]
    assert created["__typename"] == "ConversationPayload", created
    return created


def send(api: Api, mutation: str = SEND, **input: Any) -> Json:
    (sent,) = api.ask(mutation, input=input).values()
    assert sent["__typename"] == "SendMessagePayload", sent
    api.follow(sent["generation"]["id"])
    return dict(sent)


def titles(api: Api, contains: Any) -> list[str]:
    edges = api.ask(LIST, contains=contains)["conversations"]["edges"]
    return [edge["node"]["title"] for edge in edges]


# ---- metadata ------------------------------------------------------------------------------------


@pytest.mark.both
def test_an_update_merges_the_keys_of_metadata_and_null_removes_them(api: Api) -> None:
    id = create(api, metadata=ORDER)["conversation"]["id"]
    updated = api.ask(UPDATE, input={"id": id, "metadata": {"order": {"id": 43}, "paid": None, "new": [None]}})
    assert updated["updateConversation"]["conversation"]["metadata"] == {"order": {"id": 43}, "n": 1.0, "new": [None]}
    assert titles(api, {"paid": True}) == titles(api, {"order": {"id": 42}}) == []
    assert titles(api, {"order": {"id": 43}, "n": 1}) == [None]
    unchanged = api.ask(UPDATE, input={"id": id, "pinned": True})["updateConversation"]["conversation"]
    assert unchanged["metadata"] == {"order": {"id": 43}, "n": 1.0, "new": [None]}
    removed = api.ask(UPDATE, input={"id": id, "metadata": None})["updateConversation"]["conversation"]
    assert removed["metadata"] == {}
    assert titles(api, {"n": 1}) == []
    assert titles(api, {}) == [None]


CONTAINED: list[tuple[Json, list[str]]] = [
    ({"order": {"id": 42}}, ["order"]),
    ({"order": {"id": 42.0, "tags": ["gift"]}, "paid": True}, ["order"]),
    ({"order": {}}, ["order"]),
    ({"order": {"tags": []}}, ["order"]),
    ({"order": {"tags": ["gift", "old"]}}, []),
    ({"order": {"id": "42"}}, []),
    ({"order": 42}, []),
    ({"paid": 1}, []),
    ({"id": 42}, []),
    ({"kind": "A'; --"}, ["quote"]),
    ({"none": None}, []),
    ({"list": [None, 2**70]}, ["quote"]),
    ({"": ""}, []),
]


@pytest.mark.both
def test_a_filter_lists_the_conversations_whose_metadata_contains_it(api: Api) -> None:
    create(api, title="order", metadata=ORDER)
    create(api, title="quote", metadata={"kind": "A'; --", "list": [1, None, 2**70]})
    create(api, title="none")
    assert [(contains, titles(api, contains)) for contains, _ in CONTAINED] == CONTAINED


@pytest.mark.both
def test_a_filtered_list_has_pages(api: Api) -> None:
    for number in range(5):
        create(api, title=str(number), metadata={"even": number % 2 == 0})
    seen: list[str] = []
    after: str | None = None
    while True:
        page = api.ask(LIST, contains={"even": True}, first=1, after=after)["conversations"]
        seen += [edge["node"]["title"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == ["4", "2", "0"]


FLAT = st.dictionaries(st.sampled_from("ab"), st.sampled_from([1, 1.0, 2, True, None, "1", [1, "x"], {"a": 1}, [], {}]))
NESTED = st.dictionaries(st.sampled_from("ab"), FLAT | st.lists(st.integers(0, 2), max_size=3), max_size=2)


def contains(whole: Any, part: Any) -> bool:
    """Return whether JSON contains other JSON, by the rules of PostgreSQL's `@>`."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return isinstance(whole, list) and all(any(contains(item, wanted) for item in whole) for wanted in part)
    return not isinstance(whole, dict | list) and (whole, isinstance(whole, bool)) == (part, isinstance(part, bool))


@given(NESTED, NESTED)
def test_the_index_finds_what_postgresql_would_find(whole: Json, part: Json) -> None:
    assert (filter_terms(part) <= terms_of(whole)) == contains(whole, part)


@pytest.mark.both
def test_a_filter_reads_only_the_terms_that_it_names(place: Json, api: Api) -> None:
    create(api, metadata={"a": 1})
    statements = asyncio.run(_plans(place["database_url"]))
    (plan,) = statements
    assert "metadata_terms" in plan
    # No scan of the conversations in the order of the list, which would read those that are not shown.
    assert "conversations_by_" not in plan
    assert "SCAN conversations" not in plan
    assert "Seq Scan" not in plan


async def _plans(url: str) -> list[str]:
    """Return the plans of the statements that list conversations with a filter."""
    database = Database(url)
    statements: list[tuple[str, Any]] = []

    def record(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", record)
    try:
        async with database.read() as session:
            filters = Filter(metadata_terms=filter_terms({"a": 1, "b": {"c": 2}}))
            await conversations.page(session, UUID(int=1), Page(first=10), filters)
        ((statement, parameters),) = [item for item in statements if "metadata_terms" in item[0]]
        async with database.read() as session:
            connection = await session.connection()
            if database.in_turn:
                rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            else:
                # The tables of a test are small enough for a scan to be the best plan.
                await connection.execute(text("SET LOCAL enable_seqscan = off"))
                rows = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
            return ["\n".join(str(row) for row in rows)]
    finally:
        await database.engine.dispose()


REFUSED: list[tuple[Any, str]] = [
    ([1], "`metadata` must be a JSON object."),
    ({"a": "x" * 16_384}, "`metadata` must have at most 16,384 bytes of JSON, not 16,392."),
    (
        {"a": {"b": [[[[[[[1]]]]]]]}},
        "`metadata` must be JSON of at most 8 levels: it is nested more than 8 levels deep.",
    ),
    ({"a": [1] * 100}, "`metadata` must have at most 100 keys and list items on all levels together, not 101."),
    ({"k" * 101: 1}, "`metadata` must have keys of 1 to 100 characters."),
    ({"a": {"": 1}}, "`metadata` must have keys of 1 to 100 characters."),
]


@pytest.mark.parametrize(("value", "message"), REFUSED)
def test_metadata_beyond_the_limits_is_refused_everywhere(api: Api, value: Any, message: str) -> None:
    id = create(api, metadata={"kept": 1})["conversation"]["id"]
    sent = send(api, text="Hello", conversationId=id)
    inputs = [
        (CREATE, {"metadata": value}),
        (UPDATE, {"id": id, "metadata": value}),
        (SEND, {"text": "Hello", "metadata": value}),
        (SEND, {"text": "Hello", "conversationMetadata": value}),
        (EDIT, {"messageId": sent["userMessage"]["id"], "text": "Hello", "metadata": value}),
        (UPDATE_MESSAGE, {"id": sent["userMessage"]["id"], "metadata": value}),
    ]
    for mutation, input in inputs:
        (error,) = api.ask(mutation, input=input).values()
        shown = message if mutation != UPDATE else message.replace("16,392", "16,401").replace("not 101", "not 102")
        field = "conversationMetadata" if "conversationMetadata" in input else "metadata"
        assert error == {"__typename": "InvalidInput", "field": field, "message": shown.replace("metadata", field)}
    line = json.loads(api.http.get(f"/export/{id}").text.splitlines()[1])
    assert line["metadata"] == {"kept": 1}


@pytest.mark.parametrize("value", [[1], "x", {"a": [[1]]}, {"a": [{"b": 1}]}, {"a": [1] * 100}, {"a": "x" * 16_384}])
def test_a_filter_that_the_index_cannot_serve_is_refused(api: Api, value: Any) -> None:
    (error,) = api.errors(LIST, contains=value)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "`filter.metadata.contains` must" in error["message"]


@pytest.mark.both
def test_messages_of_both_roles_have_metadata(api: Api) -> None:
    sent = send(api, text="Hello", metadata={"from": "form", "gone": None})
    question, answer = sent["userMessage"], sent["generation"]["message"]["id"]
    assert question["metadata"] == {"from": "form"}
    for id, expected in ((question["id"], {"from": "form", "seen": [1]}), (answer, {"seen": [1]})):
        updated = api.ask(UPDATE_MESSAGE, input={"id": id, "metadata": {"seen": [1]}})["updateMessage"]
        assert updated["updatedMessage"]["metadata"] == expected
    assert api.messages(sent["conversation"]["id"])[1]["text"] != ""
    kept = send(api, EDIT, messageId=question["id"], text="Hello again")
    assert kept["userMessage"]["metadata"] == {"from": "form", "seen": [1]}
    removed = send(api, EDIT, messageId=question["id"], text="Hello again", metadata={})
    assert removed["userMessage"]["metadata"] == {}


@pytest.mark.both
def test_a_fork_has_the_metadata_but_not_the_external_id(api: Api) -> None:
    create(api, metadata={"a": 1}, externalId="order 42")
    sent = send(api, text="Hello", externalId="order 42", metadata={"b": 2})
    forked = api.ask(FORK, id=sent["generation"]["message"]["id"])["forkConversation"]
    fork = forked["conversation"]
    assert (forked["created"], fork["externalId"], fork["metadata"]) == (True, None, {"a": 1})
    assert [edge["node"]["metadata"] for edge in fork["messages"]["edges"]] == [{"b": 2}, {}]
    assert titles(api, {"a": 1}) == [None, None]


# ---- external ids --------------------------------------------------------------------------------


@pytest.mark.both
def test_a_conversation_is_found_or_created_by_the_applications_id(api: Api) -> None:
    assert api.ask(FIND, id="order 42")["conversation"] is None
    created = create(api, title="First", externalId="order 42", metadata={"a": 1})
    assert (created["created"], created["conversation"]["externalId"]) == (True, "order 42")
    again = create(api, title="Second", externalId="order 42", metadata={"a": 2})
    assert again == created | {"created": False}
    id = created["conversation"]["id"]
    assert api.ask(FIND, id="order 42")["conversation"] == {"id": id, "metadata": {"a": 1}}
    assert send(api, text="Hello", externalId="order 42")["conversation"]["id"] == id
    new = send(api, text="Hello", externalId="order 43", temporary=True)["conversation"]
    assert new["externalId"] == "order 43"
    # Fields for new conversations are ignored if the conversation exists.
    ignored: Json = {"temporary": True, "tools": {"server": []}, "conversationMetadata": {"a": 2}}
    assert send(api, text="And?", externalId="order 43", **ignored)["conversation"] == new
    assert titles(api, {"a": 2}) == []


@pytest.mark.both
def test_a_deleted_conversation_frees_its_external_id(api: Api) -> None:
    first = create(api, externalId="x")["conversation"]["id"]
    api.ask("mutation ($id: ID!) { deleteConversation(id: $id) { __typename } }", id=first)
    assert create(api, externalId="x")["conversation"]["id"] != first


@pytest.mark.both
def test_each_user_has_external_ids_and_metadata_of_their_own(address: str, api: Api) -> None:
    id = create(api, externalId="order 42", metadata={"a": 1})["conversation"]["id"]
    with signed(address, register(address, f"other-{uuid4().hex[:12]}")) as other:
        assert other.ask(FIND, id="order 42")["conversation"] is None
        assert titles(other, {"a": 1}) == []
        created = create(other, externalId="order 42")
        assert (created["created"], created["conversation"]["id"] == id) == (True, False)
        sent = send(other, text="Hello", externalId="order 42")
        assert sent["conversation"]["id"] == created["conversation"]["id"]
        message = send(api, text="Hello", conversationId=id)["userMessage"]["id"]
        stolen = other.ask(UPDATE_MESSAGE, input={"id": message, "metadata": {"a": 1}})["updateMessage"]
        assert stolen["__typename"] == "NotFound"


@pytest.mark.both
def test_a_send_creates_a_conversation_with_metadata_which_a_filter_finds(api: Api) -> None:
    sent = send(api, text="Hello", metadata={"b": 1}, conversationMetadata={"a": {"c": 1}, "gone": None})
    id = sent["conversation"]["id"]
    export = [json.loads(line) for line in api.http.get(f"/export/{id}").text.splitlines()]
    assert [line.get("metadata") for line in export] == [None, {"a": {"c": 1}}, {"b": 1}, {}]
    assert len(titles(api, {"a": {"c": 1}})) == 1
    (refused,) = api.ask(SEND, input={"text": "Hi", "conversationId": id, "conversationMetadata": {"a": 1}}).values()
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "conversationMetadata")


@pytest.mark.both
def test_chat_accepts_metadata_and_finds_or_creates_a_conversation_by_the_applications_id(api: Api) -> None:
    body: Json = {
        "message": "Hello",
        "metadata": {"b": 1},
        "external_id": "order 42",
        "conversation_metadata": {"a": 1},
    }
    answers = [api.http.post("/chat", json=body).json() for _ in range(2)]
    stream = api.http.post("/chat/stream", json=body).text
    (found,) = {answer["conversation_id"] for answer in answers}
    assert f'"conversation_id":"{found}"' in stream
    assert api.ask(FIND, id="order 42")["conversation"] == {"id": found, "metadata": {"a": 1}}
    export = [json.loads(line) for line in api.http.get(f"/export/{found}").text.splitlines()]
    assert [line["metadata"] for line in export if line["type"] == "message"] == [{"b": 1}, {}] * 3
    refusals: list[tuple[Json, str]] = [
        ({"metadata": [1]}, "`metadata` must be a JSON object."),
        ({"conversation_metadata": [1]}, "`conversation_metadata` must be a JSON object."),
        ({"external_id": ""}, "`external_id` must have 1 to 255 characters."),
        ({"conversation_id": found}, "`external_id` must not be set with `conversation_id`"),
    ]
    for change, message in refusals:
        refused = api.http.post("/chat", json=body | change)
        assert (refused.status_code, refused.json()["detail"][0]["msg"][: len(message)]) == (422, message)


@pytest.mark.both
def test_two_servers_at_once_create_one_conversation(
    place: Json, address: str, api: Api, tmp_path_factory: pytest.TempPathFactory
) -> None:
    token = api.signed["Authorization"].removeprefix("Bearer ")
    with ExitStack() as stack:
        other = stack.enter_context(tertulia(tmp_path_factory.mktemp("other"), **place, **MODE))
        clients = [stack.enter_context(Api(url, token)) for url in (address, other) * 4]
        for number in range(3):
            ids: list[str] = []
            start = threading.Barrier(len(clients))

            def request(position: int, client: Api, external_id: str, start: threading.Barrier, ids: list[str]) -> None:
                start.wait(WAIT)
                if position < 4:
                    ids.append(create(client, externalId=external_id)["conversation"]["id"])
                elif position < 6:
                    body = {"message": "Hello", "external_id": external_id, "conversation_metadata": {"a": 1}}
                    response = client.http.post("/chat", json=body)
                    if response.status_code == 200:
                        ids.append(response.json()["conversation_id"])
                    else:
                        assert response.status_code == 409
                else:
                    input = {"text": "Hello", "externalId": external_id, "whenBusy": "QUEUE"}
                    ids.append(client.ask(SEND, input=input)["sendMessage"]["conversation"]["id"])

            threads = [
                threading.Thread(target=request, args=(position, client, f"race {number}", start, ids))
                for position, client in enumerate(clients)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            # Requests to `/chat` are refused while another message is answered.
            assert len(ids) >= 6
            assert len(set(ids)) == 1


def test_an_external_id_has_1_to_255_characters(api: Api) -> None:
    assert create(api, externalId="\U0001f600" * 255)["created"] is True
    for external_id in ("", "x" * 256, "a\0b"):
        for mutation, input in ((CREATE, {}), (SEND, {"text": "Hello"})):
            (error,) = api.ask(mutation, input=input | {"externalId": external_id}).values()
            assert (error["__typename"], error["field"]) == ("InvalidInput", "externalId")
        assert api.errors(FIND, id=external_id)[0]["extensions"]["code"] == "BAD_USER_INPUT"
    id = create(api)["conversation"]["id"]
    (error,) = api.ask(SEND, input={"text": "Hello", "conversationId": id, "externalId": "x"}).values()
    assert error["field"] == "externalId"


def test_a_query_names_a_conversation_by_one_of_the_two_ids(api: Api) -> None:
    assert api.errors("{ conversation { id } }")[0]["extensions"]["code"] == "BAD_USER_INPUT"
    both = '{ conversation(id: "x", externalId: "x") { id } }'
    assert api.errors(both)[0]["extensions"]["code"] == "BAD_USER_INPUT"


# ---- export and import ---------------------------------------------------------------------------


@pytest.mark.both
def test_an_export_contains_metadata_and_external_ids_and_an_import_restores_them(address: str, api: Api) -> None:
    create(api, title="Exported", externalId="order 42", metadata=ORDER | {"big": 2**70})
    send(api, text="Hello", externalId="order 42", metadata={"b": [1, {"c": None}]})
    export = api.http.get("/export").content
    with signed(address, register(address, f"other-{uuid4().hex[:12]}")) as other:
        for _ in range(2):
            other.http.post("/import", files={"file": ("export.jsonl", export)}).raise_for_status()
        assert titles(other, {"order": {"tags": ["gift"]}, "big": 2**70}) == ["Exported", "Exported"]
        assert other.ask(FIND, id="order 42")["conversation"]["metadata"] == ORDER | {"big": str(2**70)}
        lines = [json.loads(line) for line in other.http.get("/export").text.splitlines()]
        # The second conversation with the same external id has none.
        assert [line["external_id"] for line in lines if line["type"] == "conversation"] == ["order 42", None]
        assert [line["metadata"] for line in lines if line["type"] == "message"] == [{"b": [1, {"c": None}]}, {}] * 2


@pytest.mark.parametrize(
    ("kind", "change", "problem"),
    [
        ("conversation", {"metadata": {"a": "x" * 16_384}}, "`metadata` must have at most 16,384 bytes of JSON"),
        ("message", {"metadata": {"k" * 101: 1}}, "`metadata` must have keys of 1 to 100 characters."),
        ("conversation", {"external_id": "x" * 256}, "`externalId` must have at most 255 characters"),
    ],
)
def test_an_import_checks_metadata_as_the_mutations_do(api: Api, kind: str, change: Json, problem: str) -> None:
    id = create(api)["conversation"]["id"]
    send(api, text="Hello", conversationId=id)
    lines = [json.loads(line) for line in api.http.get("/export").text.splitlines()]
    content = "\n".join(json.dumps(line | (change if line["type"] == kind else {})) for line in lines)
    response = api.http.post("/import", files={"file": ("export.jsonl", content)})
    assert response.status_code == 422
    assert problem in response.text


def test_tags_are_texts_in_the_metadata_that_lists_can_be_filtered_by(api: Api) -> None:
    viewer = "{ viewer { tags { name count } } }"
    assert api.ask(viewer)["viewer"]["tags"] == []
    create(api, title="A", metadata={"tags": ["work", "tea", "work", 5, {"tags": ["no"]}]})
    tagged = create(api, title="B", metadata={"tags": ["work"], "other": {"tags": ["hidden"]}})
    for index, metadata in enumerate(({"tags": "work"}, {"tags": None}, {"tag": ["work"]})):
        create(api, title=f"C{index}", metadata=metadata)
    create(api, title="D", metadata={"tags": ["secret"]}, temporary=True)
    assert api.ask(viewer)["viewer"]["tags"] == [{"name": "work", "count": 2}, {"name": "tea", "count": 1}]
    assert titles(api, {"tags": ["work"]}) == ["B", "A"]
    shown = "query ($id: ID!) { conversation(id: $id) { tags } }"
    id = tagged["conversation"]["id"]
    assert api.ask(shown, id=id)["conversation"]["tags"] == ["work"]
    api.ask(UPDATE, input={"id": id, "metadata": {"other": None, "tags": ["n"] + [f"n{index}" for index in range(98)]}})
    tags = api.ask(viewer)["viewer"]["tags"]
    assert (len(tags), tags[0]) == (100, {"name": "n", "count": 1})
