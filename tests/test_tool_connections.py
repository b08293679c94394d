"""Connections of users to MCP servers with OAuth, with a real authorization server and a real MCP server."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from client import WAIT, Api, Json
from fastapi import FastAPI
from oauth_servers import OAuthServers, mcp_file, oauth_servers
from people import MODE, PASSWORD, post, register, signed
from rows import NOON, Rows, rolled_back, seconds
from running import execute, running, settings, tertulia
from starlette.requests import HTTPConnection

from tertulia.db import tool_connections
from tertulia.db.tool_connections import ToolAuthorization
from tertulia.server.app import Tertulia
from tertulia.server.environment import WrongSetting
from tertulia.viewer import Viewer

SERVERS = "{ toolServers { name connected problem tools needsAuthorization authorizeUrl } }"
CONNECT = """mutation ($confirmation: String!) { connectToolServer(confirmation: $confirmation) {
  __typename ... on ToolServerPayload { toolServer { name connected needsAuthorization tools } }
  ... on InvalidInput { field message } } }"""
DISCONNECT = """mutation ($name: String!) { disconnectToolServer(name: $name) {
  __typename ... on ToolServerPayload { toolServer { name connected needsAuthorization tools } }
  ... on InvalidInput { field message } } }"""
RESULTS = """query ($id: ID!) { generation(id: $id) { message { content {
  ... on ToolResultBlock { output isError } } } } }"""


@pytest.fixture(scope="module")
def oauth() -> Generator[OAuthServers]:
    with oauth_servers() as servers:
        yield servers


@pytest.fixture(autouse=True)
def consenting(oauth: OAuthServers) -> None:
    oauth.provider.denies = False
    oauth.provider.fails_to_refresh = False
    oauth.provider.issues_invalid_tokens = False
    oauth.provider.lifetime = 3600


@contextmanager
def serving(folder: Path, oauth: OAuthServers, **more: Any) -> Generator[str]:
    values = {**MODE, "mcp_config": mcp_file(folder, oauth), "public_url": "http://localhost:1"} | more
    with tertulia(folder, **values) as address:
        yield address


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, oauth: OAuthServers) -> Generator[str]:
    with serving(tmp_path_factory.mktemp("connections"), oauth) as address:
        yield address


def server(api: Api) -> Json:
    (found,) = api.ask(SERVERS)["toolServers"]
    return dict(found)


def redirect(url: str) -> str:
    response = httpx2.get(url, timeout=WAIT, follow_redirects=False)
    assert response.status_code in (302, 303), response.text
    return str(response.headers["location"])


def consent(address: str, path: str, return_to: str = "/?c=1") -> str:
    """Follow a browser from `authorizeUrl` back to the address of the callback."""
    location = redirect(f"{address}{path}&return_to={return_to.replace('?', '%3F')}")
    return redirect(location)


def callback(address: str, url: str) -> str:
    """Open the callback on a replica. Return the address to which it redirects."""
    parts = urlsplit(url)
    assert (parts.netloc, parts.path) == ("localhost:1", "/tools/oauth/callback")
    return redirect(f"{address}{parts.path}?{parts.query}")


def confirm(api: Api, location: str) -> Json:
    fragment = parse_qs(urlsplit(location).fragment)
    return dict(api.ask(CONNECT, confirmation=fragment["tool-connection"][0])["connectToolServer"])


def connect(api: Api, address: str, oauth: OAuthServers, person: str) -> Json:
    """Connect a user to the MCP server as a person of the authorization server."""
    oauth.provider.person = person
    location = callback(address, consent(address, server(api)["authorizeUrl"]))
    return confirm(api, location)


def call(api: Api, tool: str = "whoami", conversation: str | None = None) -> Json:
    """Have Claude call a tool. Return its result."""
    more = {} if conversation is None else {"conversationId": conversation}
    sent = api.send(f"/simulate call notes__{tool} {{}}", **more)
    id = sent["generation"]["id"]
    api.follow(id)
    (result,) = [block for block in api.ask(RESULTS, id=id)["generation"]["message"]["content"] if block]
    return dict(result)


@pytest.mark.both
def test_a_user_connects_and_claude_calls_tools_as_this_user(tmp_path: Path, place: Json, oauth: OAuthServers) -> None:
    with serving(tmp_path, oauth, **place) as address, signed(address, register(address, "ada")) as ada:
        before = server(ada)
        assert (before["connected"], before["needsAuthorization"], before["tools"]) == (False, True, [])
        assert ada.ask("{ tools { name } }")["tools"] == []
        connected = connect(ada, address, oauth, "ada@notes")
        assert connected["toolServer"] == {
            "name": "notes",
            "connected": True,
            "needsAuthorization": False,
            "tools": ["notes__admin", "notes__whoami"],
        }
        assert server(ada)["authorizeUrl"] is None
        assert [tool["name"] for tool in ada.ask("{ tools { name } }")["tools"]] == ["notes__admin", "notes__whoami"]
        assert call(ada) == {"output": "You are ada@notes.", "isError": False}
    request = oauth.provider.requests[-1]
    assert (request.resource, request.scopes) == (oauth.url, ["read"])


def test_a_tool_that_needs_further_permissions_asks_the_user_to_connect_again(
    address: str, oauth: OAuthServers
) -> None:
    with signed(address, register(address, "extends")) as api:
        connect(api, address, oauth, "extends@notes")
        refused = call(api, "admin")
        assert refused["isError"]
        assert "requires further permissions" in refused["output"]
        assert call(api)["output"] == "You are extends@notes."
        assert server(api) | {"authorizeUrl": None} == {
            "name": "notes",
            "connected": True,
            "problem": "A tool requires further permissions. Connect again.",
            "tools": ["notes__admin", "notes__whoami"],
            "needsAuthorization": True,
            "authorizeUrl": None,
        }
        connect(api, address, oauth, "extends@notes")
        assert oauth.provider.requests[-1].scopes == ["read", "admin"]
        assert call(api, "admin") == {"output": "extends@notes administrates.", "isError": False}
        assert not server(api)["needsAuthorization"]


def test_an_authorization_is_taken_once_and_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_connections, "now", lambda: NOON)

    async def test(rows: Rows) -> None:
        owner = await rows.user()
        more: Json = {"owner_id": owner, "server": "notes", "return_to": "/", "secrets": ""}
        ends = {"expired": NOON, "valid": seconds(1)}
        rows.session.add_all(ToolAuthorization(digest=name, expires_at=end, **more) for name, end in ends.items())
        digests = ("expired", "valid", "valid")
        taken = [await tool_connections.take(rows.session, digest, has_code=False) for digest in digests]
        assert [row and row.digest for row in taken] == [None, "valid", None]

    rolled_back(test)


def test_expired_tokens_are_refreshed_once_for_many_calls(address: str, oauth: OAuthServers) -> None:
    with signed(address, register(address, "refreshes")) as api:
        oauth.provider.lifetime = 0
        connect(api, address, oauth, "refreshes@notes")
        before = oauth.provider.refreshes["refreshes@notes"]
        oauth.provider.lifetime = 3600
        text = "\n".join(["/simulate call notes__whoami {}"] * 5)
        sent = api.send(text)["generation"]["id"]
        api.follow(sent)
        content = api.ask(RESULTS, id=sent)["generation"]["message"]["content"]
        assert [block["output"] for block in content if block] == ["You are refreshes@notes."] * 5
        assert oauth.provider.refreshes["refreshes@notes"] == before + 1


def test_a_token_that_the_server_refuses_is_refreshed(address: str, oauth: OAuthServers) -> None:
    with signed(address, register(address, "refused")) as api:
        connect(api, address, oauth, "refused@notes")
        oauth.provider.expire("refused@notes")
        assert call(api) == {"output": "You are refused@notes.", "isError": False}
        assert oauth.provider.refreshes["refused@notes"] == 1


def test_after_a_revocation_claude_is_told_that_the_user_must_connect_again(address: str, oauth: OAuthServers) -> None:
    with signed(address, register(address, "revokes")) as api:
        connect(api, address, oauth, "revokes@notes")
        oauth.provider.revoke("revokes@notes")
        for _ in range(2):
            refused = call(api)
            assert refused["isError"]
            assert refused["output"].startswith("The user is not connected to the MCP server notes")
        ended = server(api)
        assert (ended["connected"], ended["needsAuthorization"]) == (False, True)
        assert ended["problem"] == "Your connection to it has ended. Connect again."
        connect(api, address, oauth, "revokes@notes")
        assert call(api)["output"] == "You are revokes@notes."


def test_a_server_that_refuses_new_tokens_too_ends_the_connection(address: str, oauth: OAuthServers) -> None:
    with signed(address, register(address, "useless")) as api:
        connect(api, address, oauth, "useless@notes")
        oauth.provider.expire("useless@notes")
        oauth.provider.issues_invalid_tokens = True
        assert call(api)["output"].startswith("The user is not connected to the MCP server notes")
        assert not server(api)["connected"]


@pytest.mark.parametrize("lifetime", [0, 3600])
def test_a_refresh_that_fails_for_a_while_keeps_the_connection(
    address: str, oauth: OAuthServers, monkeypatch: pytest.MonkeyPatch, lifetime: int
) -> None:
    with signed(address, register(address, f"waits{lifetime}")) as api:
        oauth.provider.lifetime = lifetime
        connect(api, address, oauth, f"waits{lifetime}@notes")
        # The token has expired, or the server refuses a token that has not.
        oauth.provider.access.clear()

        async def fail(*_: object) -> None:
            raise RuntimeError

        with monkeypatch.context() as patch:
            patch.setattr(oauth.provider, "load_refresh_token", fail)
            refused = call(api)
        assert refused == {
            "output": "The connection to the MCP server notes cannot be refreshed now. Try again later.",
            "isError": True,
        }
        assert server(api)["connected"]
        assert call(api)["output"] == f"You are waits{lifetime}@notes."


def test_a_user_who_denies_returns_to_the_application_without_a_connection(address: str, oauth: OAuthServers) -> None:
    with signed(address, register(address, "denies")) as api:
        oauth.provider.denies = True
        location = callback(address, consent(address, server(api)["authorizeUrl"]))
        assert location == "/?c=1#tool-connection-error=denied"
        assert not server(api)["connected"]


def test_a_disconnected_user_has_no_tools_and_no_valid_tokens(address: str, oauth: OAuthServers) -> None:
    with signed(address, register(address, "leaves")) as api:
        connect(api, address, oauth, "leaves@notes")
        assert call(api)["output"] == "You are leaves@notes."
        assert oauth.provider.secrets_of("leaves@notes")
        ended = api.ask(DISCONNECT, name="notes")["disconnectToolServer"]
        assert ended["toolServer"] == {"name": "notes", "connected": False, "needsAuthorization": True, "tools": []}
        assert oauth.provider.revoked[-1:] == ["leaves@notes"]
        assert oauth.provider.secrets_of("leaves@notes") == []
        assert api.ask("{ tools { name } }")["tools"] == []
        unknown = api.ask(DISCONNECT, name="other")["disconnectToolServer"]
        assert unknown == {
            "__typename": "InvalidInput",
            "field": "name",
            "message": "`name` must be the name of an MCP server to which users connect.",
        }


def test_users_of_an_application_that_embeds_the_server_connect_below_its_prefix(
    tmp_path: Path, oauth: OAuthServers
) -> None:
    async def who_is_asking(connection: HTTPConnection) -> Viewer | None:
        init: Json = getattr(connection.state, "connection_init", {})
        header = init.get("Authorization") or connection.headers.get("authorization", "")
        name = header.removeprefix("Bearer ")
        return Viewer(name, name) if name else None

    values = {"mcp_config": mcp_file(tmp_path, oauth), "public_url": "http://localhost:1/ai"}
    part = Tertulia(settings(tmp_path, **values), authenticate=who_is_asking)
    app = FastAPI(lifespan=part.lifespan)
    app.mount("/ai", part.app)
    with running(app) as address, Api(f"{address}/ai", "ada") as ada, Api(f"{address}/ai", "bob") as bob:
        path = server(ada)["authorizeUrl"]
        assert path.startswith("/ai/tools/oauth/authorize?ticket=")
        oauth.provider.person = "ada@notes"
        back = redirect(redirect(f"{address}{path}"))
        assert back.startswith("http://localhost:1/ai/tools/oauth/callback?")
        location = redirect(back.replace("http://localhost:1", address))
        assert location.startswith("/ai/#tool-connection=")
        assert confirm(ada, location)["__typename"] == "ToolServerPayload"
        assert call(ada)["output"] == "You are ada@notes."
        assert not server(bob)["connected"]


def test_an_application_with_several_users_must_set_the_public_address(tmp_path: Path, oauth: OAuthServers) -> None:
    async def nobody(_: HTTPConnection) -> Viewer | None:
        return None

    async def start() -> None:
        part = Tertulia(settings(tmp_path, mcp_config=mcp_file(tmp_path, oauth)), authenticate=nobody)
        async with part.lifespan():
            pass

    with pytest.raises(WrongSetting, match="TERTULIA_PUBLIC_URL: is required for MCP servers with OAuth"):
        asyncio.run(start())


def test_guests_keep_their_connections_when_they_register(tmp_path: Path, oauth: OAuthServers) -> None:
    plans = tmp_path / "plans.toml"
    plans.write_text('[guest]\nmessages = "100/day"\n')
    with serving(tmp_path, oauth, guests=True, plans=str(plans)) as address:
        first, second = (post(address, "guest").json() for _ in range(2))
        for number, tokens in enumerate((first, second)):
            with signed(address, tokens) as guest:
                connect(guest, address, oauth, f"guest-{number}@notes")
                call(guest)
        form = {"username": "ada", "password": PASSWORD}
        ada = post(address, "register", **form, guest_token=first["access_token"]).json()
        with signed(address, ada) as api:
            assert call(api)["output"] == "You are guest-0@notes."
        # The second guest signs in to the account, which keeps its own connection.
        again = post(address, "token", **form, grant_type="password", guest_token=second["access_token"]).json()
        with signed(address, again) as api:
            assert call(api)["output"] == "You are guest-0@notes."
        rows = execute(
            {"database_url": f"sqlite+aiosqlite:///{tmp_path / 'tertulia.db'}"}, "SELECT * FROM tool_connections"
        )
        assert len(rows) == 1


def test_no_redirect_passes_the_confirmation_on_to_another_site(address: str) -> None:
    # Browsers keep the fragment of an address when it redirects to an address without one.
    with signed(address, register(address, "Mallory")) as api:
        begin = server(api)["authorizeUrl"]
        assert "#" in redirect(f"{address}{begin}"), "the page of the authorization server could read the confirmation"
