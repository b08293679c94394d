"""Lists of conversations and messages: pages, order, filters, updates and deletion."""

import functools
import operator
from pathlib import Path
from typing import Any
from uuid import uuid4

from client import Api, Json
from conftest import Staged
from running import tertulia
from scripted import Gate, says

LIST = """
  query ($first: Int, $after: String, $last: Int, $before: String, $filter: ConversationFilter) {
    conversations(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
      edges { cursor node { id title } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }
"""
CREATE = """mutation ($input: CreateConversationInput!) { createConversation(input: $input) {
  ... on ConversationPayload { conversation { id } } } }"""
UPDATE = """mutation ($input: UpdateConversationInput!) { updateConversation(input: $input) {
  ... on ConversationPayload { conversation { id title systemPrompt archived pinned model { id } } } } }"""
DELETE = "mutation ($id: ID!) { deleteConversation(id: $id) { ... on DeletedConversation { deletedId } } }"


def create(api: Api, title: str, **more: Any) -> str:
    id: str = api.ask(CREATE, input={"title": title, **more})["createConversation"]["conversation"]["id"]
    return id


def titles(page: Json) -> list[str]:
    return [edge["node"]["title"] for edge in page["edges"]]


def pages(api: Api, size: int, *, backward: bool) -> list[list[str]]:
    """Return the titles of all pages of the list."""
    seen: list[list[str]] = []
    cursor: str | None = None
    while True:
        where = {"last": size, "before": cursor} if backward else {"first": size, "after": cursor}
        page = api.ask(LIST, **where)["conversations"]
        seen.append(titles(page))
        info = page["pageInfo"]
        if not info["hasPreviousPage" if backward else "hasNextPage"]:
            return seen
        cursor = info["startCursor" if backward else "endCursor"]


def test_pages_show_each_conversation_once_in_both_directions(fresh: Api) -> None:
    for number in range(7):
        create(fresh, f"{number}")
    newest_first = ["6", "5", "4", "3", "2", "1", "0"]
    for size in (1, 2, 3, 7, 100):
        assert functools.reduce(operator.iadd, pages(fresh, size, backward=False), []) == newest_first, size
        assert functools.reduce(operator.iadd, reversed(pages(fresh, size, backward=True)), []) == newest_first, size


def test_a_page_does_not_shift_when_a_new_conversation_comes_before_it(fresh: Api) -> None:
    for number in range(4):
        create(fresh, f"{number}")
    first = fresh.ask(LIST, first=2)["conversations"]
    create(fresh, "new")
    assert titles(fresh.ask(LIST, first=2, after=first["pageInfo"]["endCursor"])["conversations"]) == ["1", "0"]


def test_an_empty_page_has_no_cursors(fresh: Api) -> None:
    page = fresh.ask(LIST, first=0)["conversations"]
    assert page["pageInfo"]["startCursor"] is None
    assert page["edges"] == []


def test_the_most_recently_active_conversation_comes_first(fresh: Api) -> None:
    older = create(fresh, "older")
    create(fresh, "newer")
    fresh.answer("Hello", conversationId=older)
    assert titles(fresh.ask(LIST)["conversations"]) == ["older", "newer"]


NARROWED: list[tuple[Json, list[str]]] = [
    ({"archived": False}, ["50% of _it", "pinned one"]),
    ({"archived": True}, ["Éclair ω", "Archived"]),
    ({"pinned": True}, ["pinned one"]),
    ({"titleContains": "ARCH"}, ["Archived"]),
    ({"titleContains": "éCLAIR Ω"}, ["Éclair ω"]),
    ({"titleContains": "%"}, ["50% of _it"]),
    ({"titleContains": "_it"}, ["50% of _it"]),
    ({"titleContains": "' OR 1=1 --"}, []),
    ({}, ["Éclair ω", "50% of _it", "pinned one", "Archived"]),
]


def test_a_filter_narrows_the_list(fresh: Api) -> None:
    archived, pinned = create(fresh, "Archived"), create(fresh, "pinned one")
    create(fresh, "50% of _it")
    sweet = create(fresh, "Éclair ω")
    fresh.ask(UPDATE, input={"id": archived, "archived": True})
    fresh.ask(UPDATE, input={"id": sweet, "archived": True})
    fresh.ask(UPDATE, input={"id": pinned, "pinned": True})
    matches = [(narrowed, titles(fresh.ask(LIST, filter=narrowed)["conversations"])) for narrowed, _ in NARROWED]
    assert matches == NARROWED


def test_fields_omitted_from_an_update_keep_their_values(api: Api) -> None:
    conversation = create(api, "kept", systemPrompt="Be brief.")
    change: Json = api.ask(UPDATE, input={"id": conversation, "pinned": True})["updateConversation"]["conversation"]
    assert (change["title"], change["systemPrompt"], change["pinned"]) == ("kept", "Be brief.", True)
    change = api.ask(UPDATE, input={"id": conversation, "title": None, "systemPrompt": None})["updateConversation"][
        "conversation"
    ]
    assert (change["title"], change["systemPrompt"], change["pinned"]) == (None, None, True)


def test_a_changed_model_is_used_from_the_next_message(staged: Staged) -> None:
    stage = staged(says("hello"))
    conversation = create(stage.api, "t")
    stage.api.ask(UPDATE, input={"id": conversation, "model": "claude-haiku-5-5"})
    stage.api.answer("Hello", conversationId=conversation)
    assert stage.claude.requests[0]["model"] == "claude-haiku-5-5"


def test_deleting_a_conversation_deletes_its_messages_and_generations(api: Api) -> None:
    sent = api.send("Hello")
    api.follow(sent["generation"]["id"])
    conversation = sent["conversation"]["id"]
    assert api.ask(DELETE, id=conversation)["deleteConversation"] == {"deletedId": conversation}
    ids = [conversation, sent["userMessage"]["id"], sent["generation"]["id"], sent["generation"]["message"]["id"]]
    assert api.ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)["nodes"] == [None] * 4
    assert api.ask(DELETE, id=conversation)["deleteConversation"] == {}
    with api.socket() as socket:
        socket.subscribe("subscription ($id: ID!) { generationEvents(generationId: $id) { sequence } }", {"id": ids[2]})
        assert socket.receive()["type"] == "error"


def test_deleting_while_an_answer_is_written_stops_it(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("half", gate))
    sent = stage.api.send("Hello")
    stage.api.wait_for_text(sent["generation"]["id"], "half")
    with stage.api.socket() as socket:
        stream = socket.events(sent["generation"]["id"])
        next(stream)
        assert "deletedId" in stage.api.ask(DELETE, id=sent["conversation"]["id"])["deleteConversation"]
    gate.open.set()
    assert stage.api.conversation(sent["conversation"]["id"]) is None


def test_nodes_returns_an_object_for_each_id(api: Api) -> None:
    sent = api.send("Hello")
    api.follow(sent["generation"]["id"])
    ids = [sent["conversation"]["id"], sent["userMessage"]["id"], sent["generation"]["id"], str(uuid4())]
    nodes = api.ask("query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", ids=ids)["nodes"]
    assert [node and node["__typename"] for node in nodes] == ["Conversation", "Message", "Generation", None]


def test_sending_after_an_earlier_message_creates_a_branch(api: Api) -> None:
    first = api.send("One")
    api.follow(first["generation"]["id"])
    conversation = first["conversation"]["id"]
    api.answer("Two", conversationId=conversation)
    other = api.send("Two, again", conversationId=conversation, parentId=first["generation"]["message"]["id"])
    api.follow(other["generation"]["id"])
    messages = api.messages(conversation)
    assert [message["text"] for message in messages[::2]] == ["One", "Two, again"]
    assert len(messages[2]["siblings"]) == 2


def test_messages_are_paged_from_both_ends(api: Api) -> None:
    sent = api.send("0")
    api.follow(sent["generation"]["id"])
    for number in range(1, 4):
        api.answer(f"{number}", conversationId=sent["conversation"]["id"])
    query = """query ($id: ID!, $last: Int, $before: String) { conversation(id: $id) {
      messages(last: $last, before: $before) { edges { node { role text } } pageInfo { hasPreviousPage startCursor } } } }"""
    seen: list[str] = []
    before: str | None = None
    while True:
        page = api.ask(query, id=sent["conversation"]["id"], last=3, before=before)["conversation"]["messages"]
        seen = [edge["node"]["text"] for edge in page["edges"] if edge["node"]["role"] == "USER"] + seen
        before = page["pageInfo"]["startCursor"]
        if not page["pageInfo"]["hasPreviousPage"]:
            break
    assert seen == ["0", "1", "2", "3"]


def test_a_refreshed_page_finds_the_active_generation(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("half", gate, " whole"))
    sent = stage.api.send("Hello")
    stage.api.wait_for_text(sent["generation"]["id"], "half")
    conversation = stage.api.conversation(sent["conversation"]["id"])
    assert conversation["activeGeneration"] == {"id": sent["generation"]["id"], "status": "RUNNING"}
    gate.open.set()
    stage.api.follow(sent["generation"]["id"])
    assert stage.api.conversation(sent["conversation"]["id"])["activeGeneration"] is None


def test_usage_adds_up_over_a_conversation_and_a_viewer(staged: Staged) -> None:
    stage = staged(says("hello"))
    sent = stage.api.send("One")
    stage.api.follow(sent["generation"]["id"])
    stage.api.answer("Two", conversationId=sent["conversation"]["id"])
    usage = stage.api.conversation(sent["conversation"]["id"])["usage"]
    assert (usage["inputTokens"], usage["outputTokens"]) == (22, 14)
    query = "query ($since: DateTime) { viewer { usage(since: $since) { outputTokens } } }"
    assert stage.api.ask(query)["viewer"]["usage"]["outputTokens"] == 14
    assert stage.api.ask(query, since="2999-01-01T00:00:00Z")["viewer"]["usage"]["outputTokens"] == 0


def test_only_allowed_origins_receive_cors_headers(tmp_path: Path) -> None:
    with tertulia(tmp_path, cors_origins=("https://app.example",)) as address, Api(address) as api:
        for origin, allowed in (("https://app.example", True), ("https://evil.example", False)):
            preflight = {"origin": origin, "access-control-request-method": "POST"}
            response = api.http.options("/graphql", headers=preflight)
            assert ("access-control-allow-origin" in response.headers) == allowed


def test_a_form_of_another_website_cannot_send_a_message(api: Api) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded"):
        response = api.http.post("/chat", content='{"message": "Hello"}', headers={"content-type": content_type})
        assert response.status_code in (415, 422)


ORDERED = """query ($order: ConversationOrder!, $after: String, $before: String, $first: Int, $last: Int) {
  conversations(order: $order, after: $after, before: $before, first: $first, last: $last) {
    edges { node { title } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


ORDERS: dict[str, list[str | None]] = {
    "LAST_ACTIVE": ["b|", "C", None, "a"],
    "LEAST_ACTIVE": ["a", None, "C", "b|"],
    "NEWEST": ["C", None, "a", "b|"],
    "OLDEST": ["b|", "a", None, "C"],
    "TITLE": [None, "a", "b|", "C"],
}


def test_conversations_are_listed_in_the_requested_order_also_across_pages(fresh: Api) -> None:
    first = create(fresh, "b|")
    create(fresh, "a")
    fresh.ask("mutation { createConversation(input: {}) { __typename } }")
    create(fresh, "C")
    fresh.answer("Hello", conversationId=first)
    listed = {order: titles(fresh.ask(ORDERED, order=order)["conversations"]) for order in ORDERS}
    assert listed == ORDERS
    assert {order: by_ones(fresh, order, "after") for order in ORDERS} == ORDERS
    assert {order: by_ones(fresh, order, "before")[::-1] for order in ORDERS} == ORDERS


def by_ones(api: Api, order: str, start: str) -> list[str | None]:
    """Return the titles in pages of one, from the start or from the end."""
    seen: list[str | None] = []
    more: Json = {"first": 1} if start == "after" else {"last": 1}
    has_more, cursor = ("hasNextPage", "endCursor") if start == "after" else ("hasPreviousPage", "startCursor")
    while True:
        page = api.ask(ORDERED, order=order, **more)["conversations"]
        seen += titles(page)
        if not page["pageInfo"][has_more]:
            return seen
        more[start] = page["pageInfo"][cursor]


def test_a_cursor_of_another_order_is_refused(fresh: Api) -> None:
    create(fresh, "a")
    cursor = fresh.ask(ORDERED, order="TITLE")["conversations"]["pageInfo"]["endCursor"]
    (error,) = fresh.errors(ORDERED, order="NEWEST", after=cursor)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
