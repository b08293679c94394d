"""No user gets the connection of another user to an MCP server, and no secret of a connection gets out."""

import asyncio
import json
import logging
import re
from collections.abc import Generator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from client import WAIT, Json
from oauth_servers import OAuthServers, oauth_servers
from people import register, signed
from running import execute
from test_tool_connections import (
    CONNECT,
    DISCONNECT,
    RESULTS,
    call,
    callback,
    confirm,
    connect,
    consent,
    redirect,
    server,
    serving,
)

INVALID = "`confirmation` is not valid: it was used before, has expired, or is for another user."
EXPIRED = "#tool-connection-error=expired"


@pytest.fixture(scope="module")
def oauth() -> Generator[OAuthServers]:
    with oauth_servers() as servers:
        yield servers


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Json:
    return {"database_url": f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('crossings') / 'tertulia.db'}"}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, place: Json, oauth: OAuthServers) -> Generator[str]:
    with serving(tmp_path_factory.mktemp("crossings"), oauth, **place) as address:
        yield address


def fragment(location: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(location).fragment)


def test_another_user_cannot_finish_an_authorization(address: str, oauth: OAuthServers) -> None:
    with (
        signed(address, register(address, "mallory")) as mallory,
        signed(address, register(address, "victim")) as victim,
    ):
        # Mallory sends the victim his own `authorizeUrl`, and the victim consents.
        oauth.provider.person = "victim@notes"
        location = callback(address, consent(address, server(mallory)["authorizeUrl"]))
        assert confirm(victim, location)["message"] == INVALID
        # The attempt has used up the confirmation, so that it does not help Mallory either.
        assert confirm(mallory, location)["message"] == INVALID
        assert [server(api)["connected"] for api in (mallory, victim)] == [False, False]
        assert oauth.provider.secrets_of("victim@notes") == []


def test_tickets_states_and_confirmations_of_others_and_used_ones_are_refused(
    address: str, oauth: OAuthServers
) -> None:
    with signed(address, register(address, "replays")) as api:
        oauth.provider.person = "replays@notes"
        back = consent(address, server(api)["authorizeUrl"])
        location = callback(address, back)
        assert callback(address, back) == f"/{EXPIRED}"
        assert callback(address, re.sub("state=[^&]+", "state=forged", back)) == f"/{EXPIRED}"
        confirmation = fragment(location)["tool-connection"][0]
        # A confirmation is not a state, and a state is not a confirmation.
        assert redirect(f"{address}/tools/oauth/callback?code=x&state={confirmation}") == f"/{EXPIRED}"
        state = parse_qs(urlsplit(back).query)["state"][0]
        for invalid in ("", state, "x" * 4000, "\0"):
            assert api.ask(CONNECT, confirmation=invalid)["connectToolServer"]["field"] == "confirmation"
        assert confirm(api, location)["__typename"] == "ToolServerPayload"
        assert confirm(api, location)["message"] == INVALID
        for ticket in ("", "x", "gAAAAAB" + "x" * 90):
            assert redirect(f"{address}/tools/oauth/authorize?ticket={ticket}") == f"/{EXPIRED}"
        assert redirect(f"{address}/tools/oauth/authorize") == f"/{EXPIRED}"


def test_a_code_of_another_issuer_is_refused(address: str, oauth: OAuthServers) -> None:
    with signed(address, register(address, "mixed")) as api:
        back = consent(address, server(api)["authorizeUrl"])
        assert callback(address, f"{back}&iss=https%3A%2F%2Fevil.example") == "/?c=1#tool-connection-error=failed"
        assert callback(address, back) == f"/{EXPIRED}"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "evil.example",
        "http:evil.example",
        "https:///evil.example",
        "/\t/evil.example",
        "/\r\nLocation: https://evil.example",
        "/page#tool-connection=forged",
        "https://app.example.com.evil.example/",
        "https://app.example.com@evil.example/",
        "https://app.example.com:444/",
        "",
    ],
)
def test_browsers_return_only_to_allowed_addresses(target: str, address: str) -> None:
    response = httpx2.get(f"{address}/tools/oauth/authorize", params={"ticket": "x", "return_to": target}, timeout=WAIT)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "INVALID_RETURN"


def test_browsers_return_to_origins_of_the_settings(tmp_path: Path, oauth: OAuthServers) -> None:
    with serving(tmp_path, oauth, cors_origins=("https://app.example.com",)) as address:
        with signed(address, register(address, "ada")) as api:
            page = "https://app.example.com/chat?c=1"
            location = callback(address, consent(address, server(api)["authorizeUrl"], page))
        assert location.startswith(f"{page}#tool-connection=")


def test_two_users_of_one_server_are_never_mixed_up(address: str, oauth: OAuthServers) -> None:
    """Both call the same tools at the same time, through refreshes, disconnections and new connections."""
    names = ("eve", "bob")
    apis = {name: signed(address, register(address, name)) for name in names}
    text = "\n".join(["/simulate call notes__whoami {}"] * 4)
    outputs: list[tuple[str, str]] = []

    def answers(name: str) -> None:
        id = apis[name].send(text)["generation"]["id"]
        apis[name].follow(id)
        content = apis[name].ask(RESULTS, id=id)["generation"]["message"]["content"]
        outputs.extend((name, block["output"]) for block in content if block)

    async def at_once() -> None:
        await asyncio.gather(*(asyncio.to_thread(answers, name) for name in names))

    for attempt in range(3):
        for name in names:
            apis[name].ask(DISCONNECT, name="notes")
            connect(apis[name], address, oauth, f"{name}-{attempt}@notes")
        asyncio.run(at_once())
        oauth.provider.expire(f"eve-{attempt}@notes")
        asyncio.run(at_once())
        expected = {(name, f"You are {name}-{attempt}@notes.") for name in names}
        assert set(outputs) == expected
        assert len(outputs) == 2 * 2 * 4
        outputs.clear()
    # The connection of one does not affect that of the other.
    apis["eve"].ask(DISCONNECT, name="notes")
    assert not server(apis["eve"])["connected"]
    assert apis["eve"].ask("{ tools { name } }")["tools"] == []
    assert call(apis["bob"])["output"] == "You are bob-2@notes."
    for api in apis.values():
        api.http.close()


def test_tokens_moved_between_rows_are_not_accepted(address: str, place: Json, oauth: OAuthServers) -> None:
    with signed(address, register(address, "from")) as victim, signed(address, register(address, "onto")) as thief:
        connect(victim, address, oauth, "from@notes")
        connect(thief, address, oauth, "onto@notes")
        of = "owner_id = (SELECT id FROM users WHERE name = '{}')"
        execute(
            place,
            f"UPDATE tool_connections SET secrets = (SELECT secrets FROM tool_connections WHERE {of.format('from')}) "
            f"WHERE {of.format('onto')}",
        )
        assert server(thief)["problem"] == "Your connection to it has ended. Connect again."
        assert call(thief)["isError"]


def test_secrets_are_in_no_row_log_or_answer(
    address: str, place: Json, oauth: OAuthServers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    with signed(address, register(address, "secretive")) as api:
        connected = connect(api, address, oauth, "secretive@notes")
        result = call(api)
        oauth.provider.expire("secretive@notes")
        call(api)
        exported = api.http.get("/export").text
        shown = json.dumps([connected, result, server(api)])
    rows = "".join(
        str(row)
        for table in ("tool_clients", "tool_authorizations", "tool_connections")
        for row in execute(place, f"SELECT * FROM {table}")
    )
    client_secrets = [client.client_secret for client in oauth.provider.clients.values()]
    for secret in [*oauth.provider.secrets_of("secretive@notes"), *client_secrets]:
        assert secret
        for text in (rows, caplog.text, exported, shown):
            assert secret not in text
    assert "notes__whoami" in exported
    assert not re.search("tool_connections|toolConnections|secretive@notes.*refresh", exported)


def test_a_deleted_user_leaves_no_connection(address: str, place: Json, oauth: OAuthServers) -> None:
    tokens = register(address, "gone")
    with signed(address, tokens) as api:
        connect(api, address, oauth, "gone@notes")
        count = "SELECT count(*) FROM tool_connections WHERE owner_id = (SELECT id FROM users WHERE name = 'gone')"
        assert execute(place, count)[0][0] == 1
        before = execute(place, "SELECT count(*) FROM tool_connections")[0][0]
        deleted = api.http.request("DELETE", "/auth/user", data={"password": "a long enough one"})
        assert deleted.status_code == 200, deleted.text
    assert execute(place, "SELECT count(*) FROM tool_connections")[0][0] == before - 1


def test_a_server_with_another_address_gets_no_tokens(tmp_path: Path, oauth: OAuthServers) -> None:
    with serving(tmp_path, oauth) as address, signed(address, tokens := register(address, "ada")) as api:
        connect(api, address, oauth, "ada@notes")
    moved = tmp_path / "moved.json"
    moved.write_text((tmp_path / "mcp.json").read_text().replace("127.0.0.1", "localhost"))
    with serving(tmp_path, oauth, mcp_config=str(moved)) as address, signed(address, tokens) as api:
        assert server(api)["problem"] == "Your connection to it has ended. Connect again."
        assert call(api)["isError"]
