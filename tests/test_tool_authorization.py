"""The discovery of authorization servers, and the requests to them."""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from client import Json
from mcp.shared.auth import OAuthMetadata
from oauth_servers import oauth_servers
from people import MODE, register, signed
from running import settings, tertulia
from test_tool_connections import call, connect

from tertulia.server.environment import WrongSetting
from tertulia.server.settings import check_tools
from tertulia.tools.mcp.config import HttpServer, read_config
from tertulia.tools.mcp.oauth.discovery import AuthorizationServer, discover
from tertulia.tools.mcp.oauth.encryption import Encryption
from tertulia.tools.mcp.oauth.grants import Client, Grant, authorization_url, begin, exchange, refresh
from tertulia.tools.mcp.oauth.grants import register as register_client
from tertulia.tools.mcp.oauth.requests import (
    MAX_BYTES,
    AuthorizationError,
    AuthorizationHttp,
    GrantRefusedError,
    open_client,
)

URL = "https://mcp.example.com/v1/mcp"
RESOURCE = {"resource": URL, "authorization_servers": ["https://login.example.com"], "scopes_supported": ["read"]}
METADATA: Json = {
    "issuer": "https://login.example.com",
    "authorization_endpoint": "https://login.example.com/authorize",
    "token_endpoint": "https://login.example.com/token",
    "registration_endpoint": "https://login.example.com/register",
    "code_challenge_methods_supported": ["S256"],
    "scopes_supported": ["read", "write", "offline_access"],
}
PROTECTED = "https://mcp.example.com/.well-known/oauth-protected-resource"
AUTHORIZATION = "https://login.example.com/.well-known/oauth-authorization-server"
OPENID = "https://login.example.com/.well-known/openid-configuration"
Pages = dict[str, Json | httpx2.Response]


def run(work: Callable[[AuthorizationHttp], Coroutine[Any, Any, Any]], pages: Pages, url: str = URL) -> Any:
    """Run requests whose responses are `pages`, by address. All other addresses respond 404."""

    def respond(request: httpx2.Request) -> httpx2.Response:
        page = pages.get(str(request.url))
        if isinstance(page, httpx2.Response):
            return page
        return httpx2.Response(404) if page is None else httpx2.Response(200, json=page)

    async def work_in_client() -> Any:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(respond)) as client:
            return await work(AuthorizationHttp(client, url))

    return asyncio.run(work_in_client())


def test_a_server_that_closes_idle_connections_receives_each_request() -> None:
    served = list[asyncio.Task[None]]()

    async def respond_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
        # It closes the connection while the next request is on its way.
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.ensure_future(respond_once(reader, writer)))

    async def test() -> list[int]:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            async with open_client() as client:
                http = AuthorizationHttp(client, url)
                received = [(await http.send(client.build_request("POST", url))).status_code for _ in range(3)]
            await asyncio.gather(*served)
            return received

    assert asyncio.run(test()) == [200] * 3


def found(pages: Pages, **config: Any) -> AuthorizationServer:
    server = HttpServer(url=URL, auth="oauth", **config)
    at: AuthorizationServer = run(lambda http: discover(http, server), pages)
    return at


def challenge(value: str) -> httpx2.Response:
    return httpx2.Response(401, headers={"WWW-Authenticate": f"Bearer {value}"})


@pytest.mark.parametrize(
    "pages",
    [
        {URL: challenge('resource_metadata="https://mcp.example.com/meta"'), "https://mcp.example.com/meta": RESOURCE},
        {f"{PROTECTED}/v1/mcp": RESOURCE},
        {PROTECTED: RESOURCE | {"resource": "https://mcp.example.com/"}},
        {f"{PROTECTED}/v1/mcp": httpx2.Response(200, text="no JSON"), PROTECTED: RESOURCE},
    ],
    ids=["named", "path", "root", "invalid first"],
)
@pytest.mark.parametrize("document", [AUTHORIZATION, OPENID])
def test_the_authorization_server_is_found_by_the_metadata_of_the_mcp_server(pages: Pages, document: str) -> None:
    at = found(pages | {document: METADATA})
    assert (at.issuer, at.scope) == ("https://login.example.com", "read offline_access")


def test_without_metadata_of_the_mcp_server_its_own_origin_is_the_authorization_server() -> None:
    own = {name: str(value).replace("login", "mcp") for name, value in METADATA.items() if isinstance(value, str)}
    document = "https://mcp.example.com/.well-known/oauth-authorization-server"
    assert found({document: METADATA | own}).resource == URL


def test_scopes_come_from_the_settings_or_the_challenge() -> None:
    pages: Pages = {f"{PROTECTED}/v1/mcp": RESOURCE, AUTHORIZATION: METADATA | {"scopes_supported": ["read"]}}
    assert found(pages | {URL: challenge('scope="notes files"')}).scope == "notes files"
    assert found(pages, scopes=["a", "b"]).scope == "a b"
    assert found(pages, scopes=[]).scope is None


VALID: Pages = {f"{PROTECTED}/v1/mcp": RESOURCE, AUTHORIZATION: METADATA}
UNUSABLE: dict[str, tuple[Pages, str]] = {
    "no metadata": ({}, "names no authorization server"),
    "no PKCE": ({AUTHORIZATION: {**METADATA, "code_challenge_methods_supported": None}}, "does not support PKCE"),
    "plain PKCE": ({AUTHORIZATION: {**METADATA, "code_challenge_methods_supported": ["plain"]}}, "not support PKCE"),
    "issuer": ({AUTHORIZATION: {**METADATA, "issuer": "https://evil.example"}}, "are from another issuer"),
    "other resource": ({f"{PROTECTED}/v1/mcp": {**RESOURCE, "resource": "https://evil.example"}}, "another server"),
    "deeper resource": ({f"{PROTECTED}/v1/mcp": {**RESOURCE, "resource": f"{URL}/deep"}}, "are for another server"),
    "failing server": ({f"{PROTECTED}/v1/mcp": httpx2.Response(503)}, "failed to send its metadata"),
    "too large": ({AUTHORIZATION: httpx2.Response(200, content=b"x" * (MAX_BYTES + 1))}, "sent more than"),
    "redirect": ({AUTHORIZATION: httpx2.Response(302, headers={"Location": OPENID})}, "names no authorization server"),
    **{
        f"{name} at {url}": ({AUTHORIZATION: {**METADATA, name: url}}, "names an address that is not public")
        for name in ("token_endpoint", "authorization_endpoint", "registration_endpoint", "revocation_endpoint")
        for url in (
            "http://login.example.com/token",
            "http://169.254.169.254/latest/meta-data",
            "https://169.254.169.254/",
            "https://127.0.0.1/",
            "https://10.0.0.8/",
            "https://[::1]/",
            "https://[fd00::1]/",
            "https://localhost/",
            "https://redis.internal/",
            "https://redis.internal./",
            "https://localhost./",
        )
    },
    **{
        f"authorization server {url}": (
            {f"{PROTECTED}/v1/mcp": {**RESOURCE, "authorization_servers": [url]}},
            "names an address that is not public",
        )
        for url in ("http://login.example.com", "https://192.168.0.1", "http://localhost:6379")
    },
    **{
        f"metadata at {url}": (
            {URL: challenge(f'resource_metadata="{url}"')},
            "names an address that is not public",
        )
        for url in ("http://127.0.0.1:8080/admin", "https://2130706433/", "https://0x7f.1/", "https://10.1/")
    },
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_unsafe_or_unusable_metadata_are_refused(case: str) -> None:
    pages, expected = UNUSABLE[case]
    with pytest.raises(AuthorizationError, match=expected):
        found({**VALID, **pages} if pages else {})


def server_at(**more: Any) -> AuthorizationServer:
    return AuthorizationServer(metadata=OAuthMetadata.model_validate(METADATA | more), resource=URL, scope="read")


def test_the_authorization_url_has_pkce_the_resource_and_keeps_the_query_of_its_endpoint() -> None:
    at = server_at(authorization_endpoint="https://login.example.com/authorize?tenant=1")
    pending = begin(URL, at, Client(id="an id"), "https://chat.example.com/back", "read offline_access")
    url = httpx2.URL(authorization_url(pending, "a state"))
    assert dict(url.params) == {
        "tenant": "1",
        "response_type": "code",
        "client_id": "an id",
        "redirect_uri": "https://chat.example.com/back",
        "state": "a state",
        "code_challenge": pending.challenge,
        "code_challenge_method": "S256",
        "resource": URL,
        "scope": "read offline_access",
        "prompt": "consent",
    }
    assert pending.verifier not in str(url)


REFUSALS = [
    (httpx2.Response(400, json={"error": "invalid_grant"}), GrantRefusedError),
    (httpx2.Response(401, json={"error": "invalid_client"}), GrantRefusedError),
    (httpx2.Response(400, text="no JSON"), AuthorizationError),
    (httpx2.Response(503, json={"error": "invalid_grant"}), AuthorizationError),
    (httpx2.Response(200, json={"access_token": "a", "token_type": "mac"}), AuthorizationError),
    (httpx2.Response(200, json=[]), AuthorizationError),
    (httpx2.Response(302, headers={"Location": "https://evil.example"}), AuthorizationError),
]


@pytest.mark.parametrize("number", range(len(REFUSALS)))
def test_a_refused_grant_differs_from_a_failure(number: int) -> None:
    response, expected = REFUSALS[number]
    grant = Grant(url=URL, at=server_at(), client=Client(id="c"), access_token="old", refresh_token="r")
    with pytest.raises(AuthorizationError) as raised:
        run(lambda http: refresh(http, grant), {"https://login.example.com/token": response})
    assert type(raised.value) is expected


def test_a_refresh_keeps_what_the_answer_leaves_out() -> None:
    grant = Grant(url=URL, at=server_at(), client=Client(id="c"), access_token="old", refresh_token="r", scope="read")
    pages: Pages = {"https://login.example.com/token": {"access_token": "new", "token_type": "bearer"}}
    new: Grant = run(lambda http: refresh(http, grant), pages)
    assert (new.access_token, new.refresh_token, new.scope, new.refresh_at) == ("new", "r", "read", None)


def test_an_authorization_server_without_registration_needs_a_configured_client() -> None:
    with pytest.raises(AuthorizationError, match="set `clientId` in the MCP file"):
        run(
            lambda http: register_client(http, server_at(registration_endpoint=None), "https://a.example/back", None),
            {},
        )


def test_a_code_without_tokens_is_an_error() -> None:
    pending = begin(URL, server_at(), Client(id="c"), "https://a.example/back", None)
    with pytest.raises(AuthorizationError, match="responded with the HTTP status 404"):
        run(lambda http: exchange(http, pending), {})


def test_only_the_owner_and_an_accepted_key_can_decrypt() -> None:
    old, new = "o" * 32, "n" * 32
    text = Encryption([old]).encrypt(Client(id="c", secret="hidden"), "connection 1 notes")
    assert "hidden" not in text
    assert Encryption([new, old]).decrypt(text, "connection 1 notes", Client) == Client(id="c", secret="hidden")
    assert Encryption([new]).decrypt(text, "connection 1 notes", Client) is None
    assert Encryption([old]).decrypt(text, "connection 2 notes", Client) is None
    assert Encryption([old]).decrypt(text, "connection 1 notes", Grant) is None
    assert Encryption([old]).decrypt(text, "connection 1 notes", Client, seconds=-1) is None
    assert Encryption([old]).decrypt("\udc00", "connection 1 notes", Client) is None
    assert "hidden" not in repr(Client(id="c", secret="hidden"))


def test_a_configured_client_is_used_without_registration(tmp_path: Path) -> None:
    from mcp.shared.auth import OAuthClientInformationFull
    from pydantic import AnyUrl

    with oauth_servers(registers=False) as oauth:
        oauth.provider.clients["mine"] = OAuthClientInformationFull(
            client_id="mine",
            client_secret="a secret",
            token_endpoint_auth_method="client_secret_post",
            redirect_uris=[AnyUrl("http://localhost:1/tools/oauth/callback")],
            scope="read",
        )
        file = tmp_path / "mcp.json"
        entry = {"url": oauth.url, "auth": "oauth", "clientId": "mine", "clientSecret": "a secret", "scopes": ["read"]}
        file.write_text(json.dumps({"mcpServers": {"notes": entry}}))
        with (
            tertulia(tmp_path, **MODE, mcp_config=str(file), public_url="http://localhost:1") as address,
            signed(address, register(address, "ada")) as api,
        ):
            connect(api, address, oauth, "ada@notes")
            assert call(api)["output"] == "You are ada@notes."
        assert list(oauth.provider.clients) == ["mine"]


WRONG: dict[str, tuple[Json, str]] = {
    "auth": ({"auth": "basic"}, "auth: Input should be 'oauth'"),
    "http": ({"url": "http://mcp.example.com", "auth": "oauth"}, "`url` must be an https address"),
    "header": ({"headers": {"authorization": "x"}, "auth": "oauth"}, "`headers` must not contain Authorization"),
    "secret alone": ({"clientSecret": "x", "auth": "oauth"}, "`clientSecret` requires `clientId`"),
    "no auth": ({"clientId": "x"}, '`clientId`, `clientSecret` and `scopes` require `auth: "oauth"`'),
    "scopes": ({"scopes": "read", "auth": "oauth"}, "scopes: Input should be a valid list"),
    "empty id": ({"clientId": "", "auth": "oauth"}, "clientId: String should have at least 1 character"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_invalid_entry_of_the_file_is_refused(case: str, tmp_path: Path) -> None:
    entry, expected = WRONG[case]
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"mine": {"url": URL} | entry}}))
    with pytest.raises(ValueError, match=re.escape(f'MCP server "mine": {expected}')):
        read_config(file)


def test_oauth_requires_an_address_and_a_key(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"notes": {"url": URL, "auth": "oauth"}}}))
    config: Json = {"mcp_config": str(file)}
    check_tools(settings(tmp_path, **config))
    with pytest.raises(WrongSetting, match="TERTULIA_PUBLIC_URL: is required for MCP servers with OAuth"):
        check_tools(settings(tmp_path, **config, **MODE))
    postgres = {"database_url": "postgresql://u:p@db/t", "auth": "oidc", "public_url": "https://chat.example.com"}
    with pytest.raises(WrongSetting, match="TERTULIA_ENCRYPTION_KEY: is required for MCP servers with OAuth"):
        check_tools(settings(tmp_path, **config, **postgres))
    check_tools(settings(tmp_path, **config, **postgres, encryption_key="k" * 32))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("encryption_key", "short", "each key must have at least 32 random characters"),
        ("encryption_key", f"{'k' * 32},short", "each key must have at least 32 random characters"),
        ("public_url", "chat.example.com", "must be an address such as"),
        ("public_url", "http://chat.example.com", "must be an address such as"),
        ("public_url", "https://user@chat.example.com", "must be an address such as"),
        ("public_url", "https://chat.example.com/?a=1", "must be an address such as"),
        ("public_url", "https://[", "must be an address such as"),
    ],
)
def test_wrong_settings_are_refused(name: str, value: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=expected):
        settings(tmp_path, **{name: value})
