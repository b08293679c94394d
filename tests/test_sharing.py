"""Sharing: links with which anybody can read a frozen branch, what they show, and when they stop working."""

import json
import re
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from client import WAIT, Api, Json, raw_socket, wait_until
from conftest import Staged
from graphql import GraphQLInterfaceType, get_named_type
from media import image
from people import MODE, PASSWORD, register, signed
from rows import Rows, with_database
from running import execute, running, stopped_clock, tertulia
from scripted import Gate, says
from servers import Servers
from test_embedding import host
from websockets.exceptions import ConnectionClosed

from tertulia.db.database import Database
from tertulia.db.inserting import insert
from tertulia.db.paging import Page
from tertulia.db.shares import Share, add_views, page
from tertulia.generation import retention
from tertulia.resolvers.sharing import VIEWS_SECONDS
from tertulia.schema.root import schema
from tertulia.server.http.pages import ASSETS

LATER = (datetime.now(UTC) + timedelta(days=1)).isoformat()
SHARE = """mutation ($id: ID!, $expires: DateTime, $all: Boolean = false) {
  shareConversation(id: $id, expiresAt: $expires, includeThinking: $all, includeTools: $all, includeContext: $all) {
    __typename ... on ShareConversationPayload { token url share { id title views expiresAt includeThinking } }
    ... on InvalidInput { field message } ... on NotFound { id message } } }"""
REVOKE = """mutation ($id: ID!) { revokeShare(id: $id) { __typename ... on RevokedShare { revokedId } ... on NotFound { id } } }"""
SHARED = """query Shared($token: String!, $first: Int, $after: String) { sharedConversation(token: $token) { title sharedAt expiresAt
  messages(first: $first, after: $after) { pageInfo { hasNextPage endCursor } edges { node { role text context content {
    __typename
    ... on TextBlock { text } ... on ThinkingBlock { thinking: text }
    ... on SharedToolCall { name input } ... on SharedToolResult { output isError }
    ... on SharedFile { filename mediaType } } } } } } }"""
SHARES = "shares(first: 10) { edges { node { id views conversation { id } } } }"
TOOLS = {"client": [{"name": "look", "description": "Looks.", "inputSchema": {"type": "object"}}]}
SUBMIT = """mutation ($id: ID!, $use: ID!) { submitToolResults(input: {generationId: $id, results: [{toolUseId: $use, output: "tool secret"}]}) {
  ... on GenerationPayload { generation { id } } } }"""


@dataclass(frozen=True)
class Replicas:
    """Two servers with the same storage, of which one is the same in the setup without Redis."""

    one: str
    other: str
    place: Json


@pytest.fixture(scope="module")
def replicas(
    setup: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Replicas]:
    folder = tmp_path_factory.mktemp("sharing")
    settings: Json = MODE | {"sharing": True, "share_limit": "100000"}
    with ExitStack() as stack:
        if setup.startswith("sqlite"):
            one = stack.enter_context(tertulia(folder, **settings))
            yield Replicas(one, one, {"database_url": f"sqlite+aiosqlite:///{folder / 'tertulia.db'}"})
            return
        servers: Servers = request.getfixturevalue("servers")
        place = servers.settings()
        one, other = (stack.enter_context(tertulia(folder, **place, **settings)) for _ in range(2))
        yield Replicas(one, other, place)


@pytest.fixture
def owner(replicas: Replicas) -> Generator[Api]:
    """A user without conversations."""
    with signed(replicas.one, register(replicas.one, f"user-{uuid4().hex[:12]}")) as client:
        yield client


@pytest.fixture
def anybody(replicas: Replicas) -> Generator[Api]:
    """A client of the other replica that has not signed in."""
    with Api(replicas.other) as client:
        yield client


def said(api: Api, text: str, **more: Any) -> Json:
    """Send a message, and wait for its answer."""
    sent = api.send(text, **more)
    api.follow(sent["generation"]["id"])
    return sent


def share(api: Api, id: str, **more: Any) -> Json:
    shared: Json = api.ask(SHARE, id=id, **more)["shareConversation"]
    return shared


def read(api: Api, token: str, **more: Any) -> Any:
    return api.ask(SHARED, token=token, **more)["sharedConversation"]


def texts(shared: Json) -> list[str]:
    return [edge["node"]["text"] for edge in shared["messages"]["edges"]]


def works(api: Api, shared: Json) -> bool:
    """Return whether a link works; its page and its query must agree."""
    status = api.http.get(shared["url"]).status_code
    found = read(api, shared["token"]) is not None
    assert status == (200 if found else 404)
    return found


@pytest.mark.both
def test_a_link_shows_the_branch_as_it_was_to_anybody(owner: Api, anybody: Api) -> None:
    id = said(owner, "First")["conversation"]["id"]
    owner.ask('mutation ($id: ID!) { updateConversation(input: {id: $id, title: "Plan"}) { __typename } }', id=id)
    shared = share(owner, id, expires=LATER)
    before = read(anybody, shared["token"])
    assert (before["title"], texts(before)[0], len(texts(before))) == ("Plan", "First", 2)
    assert datetime.fromisoformat(before["expiresAt"]) == datetime.fromisoformat(LATER)
    said(owner, "Second", conversationId=id)
    first = owner.messages(id)[0]["id"]
    edit = 'mutation ($id: ID!) { editMessage(input: {messageId: $id, text: "Edited"}) { ... on SendMessagePayload { generation { id } } } }'
    owner.follow(owner.ask(edit, id=first)["editMessage"]["generation"]["id"])
    owner.ask('mutation ($id: ID!) { updateConversation(input: {id: $id, title: "Other"}) { __typename } }', id=id)
    assert owner.messages(id)[0]["text"] == "Edited"
    assert read(anybody, shared["token"]) == before
    assert "Edited" not in anybody.http.get(shared["url"]).text


def conversation_with_everything(api: Api) -> str:
    """Store a conversation with a context, an attachment, thinking, and a tool call with its result; return its id."""
    picture = api.http.post("/attachments", files={"file": ("plan & <b>.png", image())}).json()["id"]
    first: Json = {"context": {"cart": "context secret"}, "attachmentIds": [picture], "tools": TOOLS}
    id: str = said(api, "/simulate thinking", **first)["conversation"]["id"]
    waiting = api.send('/simulate call look {"q": 7}', conversationId=id)["generation"]["id"]
    with api.socket() as socket:
        events = socket.events(waiting)
        while next(events)["__typename"] != "ToolResultsRequired":
            pass
        call = api.messages(id)[-1]["content"][0]
        api.ask(SUBMIT, id=waiting, use=call["toolUseId"])
        list(events)
    return id


@pytest.mark.both
def test_a_link_shows_thinking_tool_data_and_context_only_if_asked(owner: Api, anybody: Api) -> None:
    id = conversation_with_everything(owner)
    for link, is_shown in ((share(owner, id), False), (share(owner, id, all=True), True)):
        shown = [edge["node"] for edge in read(anybody, link["token"])["messages"]["edges"]]
        blocks = {block["__typename"]: block for message in shown for block in message["content"]}
        assert blocks["SharedFile"] == {
            "__typename": "SharedFile",
            "filename": "plan & <b>.png",
            "mediaType": "image/png",
        }
        assert (blocks["SharedToolCall"]["name"], blocks["SharedToolCall"]["input"]) == (
            "look",
            {"q": 7} if is_shown else None,
        )
        assert {"ThinkingBlock", "SharedToolResult"} & blocks.keys() == (
            {"ThinkingBlock", "SharedToolResult"} if is_shown else set()
        )
        assert shown[0]["context"] == ({"cart": "context secret"} if is_shown else None)
        page_text = anybody.http.get(link["url"]).text
        assert "plan &amp; &lt;b&gt;.png" in page_text
        shown_on_page = [
            part in page_text for part in ("context secret", "count to three", "&quot;q&quot;: 7\n", "<summary>Result")
        ]
        assert shown_on_page == [is_shown] * 4


@pytest.mark.both
def test_an_answer_that_is_not_finished_is_not_part_of_a_link(staged: Staged, place: Json) -> None:
    gate = Gate()
    stage = staged(says("Hi"), says("half", gate), says("other"), sharing=True)
    id = said(stage.api, "Hello")["conversation"]["id"]
    running_answer = stage.api.send("More", conversationId=id)["generation"]["id"]
    stage.api.send("Queued", conversationId=id, whenBusy="QUEUE")
    stage.api.wait_for_text(running_answer, "half")
    shared = share(stage.api, id)
    gate.open.set()
    stage.api.follow(running_answer)
    assert texts(read(stage.api, shared["token"])) == ["Hello", "Hi", "More"]


@pytest.mark.both
@pytest.mark.parametrize("way", ["revoked", "expired", "message", "conversation", "account"])
def test_a_link_stops_working_when_it_is_revoked_or_expired_or_what_it_shows_is_deleted(
    replicas: Replicas, anybody: Api, way: str
) -> None:
    tokens = register(replicas.one, f"user-{uuid4().hex[:12]}")
    with signed(replicas.one, tokens) as owner:
        first = said(owner, "First")
        id = first["conversation"]["id"]
        shared = share(owner, id)
        said(owner, "Second", conversationId=id)
        whole = share(owner, id)
        assert works(anybody, shared)
        match way:
            case "revoked":
                assert owner.ask(REVOKE, id=whole["share"]["id"])["revokeShare"]["__typename"] == "RevokedShare"
                assert owner.ask(REVOKE, id=whole["share"]["id"])["revokeShare"]["__typename"] == "NotFound"
            case "expired":
                past = "'2020-01-01 00:00:00'"
                found = f"CAST(id AS VARCHAR) IN ('{whole['share']['id']}', '{whole['share']['id'].replace('-', '')}')"
                execute(replicas.place, f"UPDATE shares SET expires_at = {past} WHERE {found}")
            case "message":
                second = owner.messages(id)[2]["id"]
                owner.ask("mutation ($id: ID!) { deleteMessage(id: $id) { __typename } }", id=second)
            case "conversation":
                owner.ask("mutation ($id: ID!) { deleteConversation(id: $id) { __typename } }", id=id)
            case _:
                assert owner.http.request("DELETE", "/auth/user", data={"password": PASSWORD}).status_code == 200
        assert not works(anybody, whole)
        assert works(anybody, shared) == (way in ("revoked", "expired", "message"))
        if way not in ("conversation", "account"):
            edges = owner.ask(f"{{ {SHARES} }}")["shares"]["edges"]
            assert [edge["node"]["id"] for edge in edges] == [shared["share"]["id"]]


@pytest.mark.both
def test_views_are_stored_together_from_all_replicas(replicas: Replicas, owner: Api, anybody: Api) -> None:
    id = said(owner, "Hello")["conversation"]["id"]
    shared = share(owner, id)
    with stopped_clock(replicas.one) as advance:
        for _ in range(3):
            assert owner.http.get(shared["url"]).status_code == 200
        advance(VIEWS_SECONDS)
    with stopped_clock(replicas.other) as advance:
        assert read(anybody, shared["token"])
        # A further page of the same view is not another view.
        assert anybody.http.get(shared["url"], params={"after": "x"}).status_code == 404
        advance(VIEWS_SECONDS)

    def stored_views() -> list[int]:
        conversation = owner.ask(f"query ($id: ID!) {{ conversation(id: $id) {{ {SHARES} }} }}", id=id)["conversation"]
        return [edge["node"]["views"] for edge in conversation["shares"]["edges"]]

    # The clock starts the transaction, and does not wait for it.
    wait_until(lambda: stored_views() == [4], "the four views")


@pytest.mark.both
def test_the_database_contains_only_a_hash_of_the_token(replicas: Replicas, owner: Api) -> None:
    shared = share(owner, said(owner, "Hello")["conversation"]["id"])
    assert len(shared["token"]) >= 43
    assert shared["url"] == f"/s/{shared['token']}"
    stored = execute(replicas.place, "SELECT * FROM shares") + execute(replicas.place, "SELECT * FROM audit")
    assert stored
    assert shared["token"] not in str(stored)


@pytest.mark.both
def test_lists_of_links_have_pages_and_contain_only_ones_own(replicas: Replicas, owner: Api) -> None:
    ids = [said(owner, text)["conversation"]["id"] for text in ("One", "Two")]
    shares = [share(owner, id)["share"]["id"] for id in (*ids, ids[0])]
    listed = "query ($first: Int, $last: Int, $after: String, $before: String) { shares(first: $first, last: $last, after: $after, before: $before) { edges { node { id } } pageInfo { endCursor startCursor hasNextPage hasPreviousPage } } }"

    def ids_of(**page: Any) -> tuple[list[str], Json]:
        connection = owner.ask(listed, **page)["shares"]
        return [edge["node"]["id"] for edge in connection["edges"]], connection["pageInfo"]

    newest, info = ids_of(first=2)
    assert (newest, info["hasNextPage"]) == (shares[:0:-1], True)
    assert ids_of(first=2, after=info["endCursor"])[0] == [shares[0]]
    assert ids_of(last=1)[0] == [shares[0]]
    assert ids_of(last=1, before=info["endCursor"])[0] == [shares[2]]
    one = owner.ask(f"query ($id: ID!) {{ conversation(id: $id) {{ {SHARES} }} }}", id=ids[0])["conversation"]
    assert [edge["node"]["id"] for edge in one["shares"]["edges"]] == [shares[2], shares[0]]
    with signed(replicas.other, register(replicas.other, f"user-{uuid4().hex[:12]}")) as stranger:
        assert stranger.ask(f"{{ {SHARES} }}")["shares"]["edges"] == []
        assert stranger.ask(REVOKE, id=shares[0])["revokeShare"]["__typename"] == "NotFound"
        assert share(stranger, ids[0])["__typename"] == "NotFound"
        assert owner.errors(listed, after="bm9uZQ")[0]["extensions"]["code"] == "BAD_USER_INPUT"


ONLY_SIGNED_IN = [
    "{ viewer { id } }",
    "{ __typename }",
    "{ __schema { queryType { name } } }",
    '{ sharedConversation(token: "x") { title } viewer { id } }',
    '{ sharedConversation(token: "x") { title } __schema { queryType { name } } }',
    '{ sharedConversation(token: "x") { title } ... on Query { models { id } } }',
    '{ sharedConversation(token: "x") { title } ...F } fragment F on Query { conversations { pageInfo { endCursor } } }',
    'query { sharedConversation(token: "x") { title } } query Other { models { id } }',
    'mutation { revokeShare(id: "x") { __typename } }',
    "{ sharedConversation }",
    "{",
]


@pytest.mark.parametrize("document", ONLY_SIGNED_IN)
def test_clients_that_have_not_signed_in_may_read_nothing_else(anybody: Api, document: str) -> None:
    response = anybody.post(document)
    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def test_a_query_of_a_shared_conversation_may_have_fragments(owner: Api, anybody: Api) -> None:
    token = share(owner, said(owner, "Hello")["conversation"]["id"])["token"]
    document = "query ($token: String!) { __typename ...F } fragment F on Query { shared: sharedConversation(token: $token) { title } }"
    assert anybody.ask(document, token=token)["shared"] == {"title": None}
    assert anybody.ask(document, token="x" * 5000)["shared"] is None
    got = anybody.http.get("/graphql", params={"query": '{ sharedConversation(token: "x") { title } }'})
    assert got.json() == {"data": {"sharedConversation": None}}


def test_an_expired_token_and_a_socket_need_a_sign_in_even_for_a_shared_conversation(replicas: Replicas) -> None:
    with Api(replicas.one, "expired") as expired:
        assert expired.post(SHARED, {"token": "x"}).status_code == 401
    with raw_socket(replicas.one) as socket:
        socket.send('{"type": "connection_init"}')
        with pytest.raises(ConnectionClosed, match="4403"):
            socket.recv()


def test_no_type_of_a_shared_conversation_leads_to_an_object_of_its_owner() -> None:
    found, types = set[str](), ["SharedConversation"]
    while types:
        name = types.pop()
        kind: Any = schema.core.type_map[name]
        if name not in found:
            found.add(name)
            types += [get_named_type(field.type).name for field in getattr(kind, "fields", {}).values()]
            types += [member.name for member in getattr(kind, "types", ())]
    assert {"SharedMessage", "Citation", "SharedFile", "ThinkingBlock"} < found
    node = schema.core.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    assert not found & {"Node", *(kind.name for kind in schema.core.get_possible_types(node))}


def test_the_page_is_not_indexed_not_stored_and_runs_nothing(owner: Api, anybody: Api) -> None:
    owner_text = "<script>alert(1)</script> & more"
    id = said(owner, owner_text)["conversation"]["id"]
    owner.ask(
        'mutation ($id: ID!) { updateConversation(input: {id: $id, title: "</title><i>"}) { __typename } }', id=id
    )
    response = anybody.http.get(share(owner, id, expires=LATER)["url"])
    missing = anybody.http.get("/s/unknown")
    assert (response.status_code, missing.status_code) == (200, 404)
    for page_response in (response, missing):
        headers = page_response.headers
        assert headers["X-Robots-Tag"] == "noindex, nofollow, noarchive"
        assert '<meta name="robots" content="noindex, nofollow, noarchive">' in page_response.text
        assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
        assert "default-src 'none'; style-src 'self';" in headers["Content-Security-Policy"]
        assert headers["X-Frame-Options"] == "DENY"
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in response.text
    assert "<script" not in response.text
    assert "<i>" not in response.text
    stylesheet = response.text.partition('href="')[2].partition('"')[0]
    style = anybody.http.get(f"/s/{stylesheet}")
    assert (style.status_code, style.headers["content-type"].partition(";")[0]) == (200, "text/css")


HOSTILE = """# Title

Some **bold** text, <script>alert(1)</script>, <img src=x onerror=alert(2)> and a [link](https://example.com/?a=1&b=2).
[code](javascript:alert(3)) [data](data:image/png;base64,AAAA) [file](file:///etc/passwd) ![pixel](https://example.com/x.png)
<https://example.com/<b>> [title](https://example.com "\\" onclick=\\"alert(4)") \ud800 [x](https://example.com/\ud800)

<style>body { display: none }</style>

| a | b |
| :-: | --- |
| 1 | 2 |

```html" onclick="alert(5)
<script>alert(6)</script>
```
"""


class Elements(HTMLParser):
    """The elements of a page, and their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags = set[str]()
        self.attributes = set[tuple[str, str | None]]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= set(attrs)


def shared_answer(owner: Api, text: str) -> str:
    """Import a conversation with this answer, share it, and return the path of the link."""
    at = {"created_at": "2026-01-01T00:00:00+00:00"}
    lines: list[Json] = [
        {"type": "tertulia-export", "version": 1, "exported_at": at["created_at"]},
        {"type": "conversation", "id": "c", "model": "claude-opus-5-5", **at, "updated_at": at["created_at"]},
        {
            "type": "message",
            "id": "m",
            "parent_id": None,
            "role": "user",
            **at,
            "content": [{"type": "text", "text": "**me**"}],
        },
        {
            "type": "message",
            "id": "n",
            "parent_id": "m",
            "role": "assistant",
            **at,
            "content": [{"type": "text", "text": text}],
        },
    ]
    file = "\n".join(map(json.dumps, lines)).encode()
    (id,) = owner.http.post("/import", files={"file": ("export", file)}).json()["conversation_ids"]
    url: str = share(owner, id)["url"]
    return url


def test_the_page_renders_claudes_markdown_and_no_html_of_it(
    owner: Api, anybody: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = shared_answer(owner, HOSTILE)
    text = anybody.http.get(url).text
    for rendered in ("<h3>Title</h3>", "<strong>bold</strong>", "<td>1</td>", "<pre><code", "**me**"):
        assert rendered in text
    page_itself = Elements(anybody.http.get(share(owner, said(owner, "Hi")["conversation"]["id"])["url"]).text)
    elements = Elements(text)
    assert elements.tags - page_itself.tags <= {"h3", "strong", "a", "pre", "table", "thead", "tbody", "tr", "th", "td"}
    added = elements.attributes - page_itself.attributes
    assert {name for name, _ in added} <= {"href", "rel", "title", "class"}
    assert all(value and value.startswith("https://example.com") for name, value in added if name == "href")
    assert ("rel", "nofollow noopener noreferrer") in added
    monkeypatch.setattr("tertulia.server.http.answer_html.MAX_CHARACTERS", 10)
    assert "<strong>" not in anybody.http.get(url).text


@pytest.mark.parametrize("text", ["\\(<b>\\)", "```mermaid\n<b>\n```"])
def test_a_script_is_loaded_for_formulas_and_diagrams_only_if_the_page_is_built(
    owner: Api, anybody: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    url = shared_answer(owner, text)
    monkeypatch.setitem(ASSETS, "app", tmp_path)
    plain = anybody.http.get(url)
    assert "<script" not in plain.text
    assert "script-src" not in plain.headers["Content-Security-Policy"]
    (tmp_path / "scripts.json").write_text('{"src/shared.ts": {"file": "shared-1.js"}}')
    drawn = anybody.http.get(url)
    assert drawn.text.count("<script") == 1
    assert '<script type="module" src="../assets/app/shared-1.js"></script>' in drawn.text
    assert "&lt;b&gt;" in drawn.text
    assert "<b>" not in drawn.text
    policy = drawn.headers["Content-Security-Policy"]
    assert policy.startswith(plain.headers["Content-Security-Policy"])
    assert not {"unsafe", "connect-src"} & set(re.findall(r"[a-z]+(?:-src)?", policy))


def test_a_long_conversation_has_several_pages(owner: Api, anybody: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tertulia.server.http.shares.MESSAGES_ON_PAGE", 3)
    id = said(owner, "Number one")["conversation"]["id"]
    for number in ("two", "three"):
        said(owner, f"Number {number}", conversationId=id)
    shared = share(owner, id)
    seen, query = list[int](), ""
    while True:
        text = anybody.http.get(shared["url"] + query).text
        seen.append(text.count("<li "))
        if 'rel="next"' not in text:
            break
        query = text.partition('rel="next" href="')[2].partition('"')[0]
    assert seen == [3, 3]


def test_links_work_under_a_prefix_of_another_application(tmp_path: Path) -> None:
    app, _ = host(tmp_path, ("/other/ai",), sharing=True)
    with running(app) as address, Api(f"{address}/other/ai", "token-of-ada") as ada:
        shared = share(ada, said(ada, "Hello from Ada")["conversation"]["id"])
        assert shared["url"] == f"/other/ai/s/{shared['token']}"
        page_response = httpx2.get(address + shared["url"], timeout=WAIT)
        assert "Hello from Ada" in page_response.text
        assert httpx2.get(f"{address}/other/ai/s/../assets/web/share.css", timeout=WAIT).status_code == 200
        with Api(f"{address}/other/ai") as anybody:
            assert texts(read(anybody, shared["token"]))[0] == "Hello from Ada"


def test_requests_for_links_are_limited_by_network_address(tmp_path: Path) -> None:
    with tertulia(tmp_path, **MODE, sharing=True, share_limit="2/hour") as address, Api(address) as client:
        statuses = [client.http.get("/s/unknown").status_code for _ in range(2)]
        limited = client.http.get("/s/unknown")
        assert (statuses, limited.status_code) == ([404, 404], 429)
        assert int(limited.headers["Retry-After"]) > 0
        queried = client.post(SHARED, {"token": "x"})
        assert (queried.status_code, queried.json()["errors"][0]["extensions"]["code"]) == (429, "RATE_LIMITED")
        proxied = {"X-Forwarded-For": "192.0.2.7"}
        assert client.http.get("/s/unknown", headers=proxied).status_code == 404


def test_without_the_setting_nothing_is_shared(tmp_path: Path) -> None:
    with tertulia(tmp_path, **MODE, sharing=True) as address:
        tokens = register(address, "ada")
        with signed(address, tokens) as ada:
            id = said(ada, "Hello")["conversation"]["id"]
            shared = share(ada, id)
    with tertulia(tmp_path, **MODE) as address, signed(address, tokens) as ada, Api(address) as anybody:
        refused = share(ada, id)
        assert (refused["__typename"], refused["field"]) == ("InvalidInput", "id")
        assert "switched off" in refused["message"]
        assert read(ada, shared["token"]) is None
        assert anybody.post(SHARED, {"token": shared["token"]}).status_code == 401
        assert anybody.http.get(shared["url"]).status_code == 404
        assert ada.ask(REVOKE, id=shared["share"]["id"])["revokeShare"]["__typename"] == "RevokedShare"


def test_a_link_needs_a_message_and_a_time_in_the_future(owner: Api) -> None:
    create = "mutation { createConversation(input: {}) { ... on ConversationPayload { conversation { id } } } }"
    empty = share(owner, owner.ask(create)["createConversation"]["conversation"]["id"])
    assert (empty["field"], empty["message"]) == ("id", "`id` must be a conversation with a finished message.")
    past = share(owner, said(owner, "Hello")["conversation"]["id"], expires="2020-01-01T00:00:00Z")
    assert (past["field"], past["message"]) == ("expiresAt", "`expiresAt` must be in the future.")
    assert share(owner, "x")["__typename"] == "NotFound"


def test_expired_links_are_removed_and_views_of_removed_ones_are_ignored(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        async with database.write() as session:
            rows = Rows(session)
            owner = await rows.user()
            conversation = await rows.conversation(owner)
            leaf = await rows.message(conversation)
            times = [None, datetime.now(UTC) + timedelta(hours=1), *[datetime.now(UTC) - timedelta(hours=1)] * 3]
            columns: Json = {"owner_id": owner, "conversation_id": conversation, "leaf_id": leaf}
            shares = [Share(digest=str(n), expires_at=time, **columns) for n, time in enumerate(times)]
            await insert(session, shares)
        await retention.trim_shares(database)
        for item in shares:
            async with database.write() as session:
                await add_views(session, item.id, 5)
        async with database.read() as session:
            kept = (await page(session, owner, Page())).edges
        assert [(edge.node.digest, edge.node.views) for edge in kept] == [("1", 5), ("0", 5)]
        await retention.trim_shares(database)

    with_database(tmp_path, test)
