"""A real authorization server and a real MCP server that requires its tokens, both built with the official SDK."""

import json
import secrets
import time
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    AuthorizeError,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    TokenError,
    construct_redirect_uri,
)
from mcp.server.auth.routes import create_auth_routes
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from test_mcp import bound, served

SCOPES = ["read", "admin"]


class Provider(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Consents at once, as the person in `person`. Refresh tokens work once, as OAuth 2.1 recommends."""

    def __init__(self) -> None:
        self.person = "nobody"
        self.denies = False
        self.lifetime = 3600
        self.fails_to_refresh = False
        self.issues_invalid_tokens = False
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.access: dict[str, AccessToken] = {}
        self.refresh: dict[str, RefreshToken] = {}
        self.requests: list[AuthorizationParams] = []
        self.refreshes = Counter[str]()
        self.revoked: list[str] = []

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        self.requests.append(params)
        if self.denies:
            raise AuthorizeError("access_denied", "No.")
        code = AuthorizationCode(
            code=secrets.token_urlsafe(32),
            scopes=params.scopes or ["read"],
            expires_at=time.time() + 60,
            client_id=client.client_id,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
            subject=self.person,
        )
        self.codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        code = self.codes.pop(authorization_code.code)
        return self._issue(code.client_id, code.scopes, code.resource, code.subject or "nobody")

    async def load_refresh_token(self, client: OAuthClientInformationFull, refresh_token: str) -> RefreshToken | None:
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        if self.fails_to_refresh:
            raise TokenError("invalid_grant")
        del self.refresh[refresh_token.token]
        person = refresh_token.subject or "nobody"
        self.refreshes[person] += 1
        return self._issue(refresh_token.client_id, scopes, refresh_token.resource, person)

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.access.get(token)

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        self.revoked.append(token.subject or "nobody")
        self.revoke(token.subject or "nobody")

    def expire(self, person: str) -> None:
        """Refuse the access tokens of a person from now on."""
        self.access = {token: access for token, access in self.access.items() if access.subject != person}

    def revoke(self, person: str) -> None:
        """Refuse all tokens of a person from now on."""
        self.expire(person)
        self.refresh = {token: refresh for token, refresh in self.refresh.items() if refresh.subject != person}

    def secrets_of(self, person: str) -> list[str]:
        """Return the valid tokens of a person."""
        tokens: list[AccessToken | RefreshToken] = [*self.access.values(), *self.refresh.values()]
        return [token.token for token in tokens if token.subject == person]

    def _issue(self, client_id: str, scopes: list[str], resource: str | None, person: str) -> OAuthToken:
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        expires_at = int(time.time()) + self.lifetime
        of_token: dict[str, Any] = {
            "client_id": client_id,
            "scopes": scopes,
            "expires_at": expires_at,
            "resource": resource,
            "subject": person,
        }
        if not self.issues_invalid_tokens:
            self.access[access] = AccessToken(token=access, **of_token)
        self.refresh[refresh] = RefreshToken(
            token=refresh, client_id=client_id, scopes=scopes, resource=resource, subject=person
        )
        return OAuthToken(access_token=access, refresh_token=refresh, expires_in=self.lifetime, scope=" ".join(scopes))


@dataclass
class OAuthServers:
    """The provider of the authorization server, and the address of the MCP server."""

    provider: Provider
    issuer: str
    url: str


def mcp_file(folder: Path, oauth: OAuthServers) -> str:
    """Write the file of MCP servers with one server, `notes`, to which users connect. Return its path."""
    file = folder / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"notes": {"url": oauth.url, "auth": "oauth"}}}))
    return str(file)


class _RequireAdmin:
    """Responds to calls of the tool `admin` with a challenge, unless the token has the scope `admin`."""

    def __init__(self, app: ASGIApp, provider: Provider) -> None:
        self._app = app
        self._provider = provider

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        call = json.loads(body or b"{}")
        header = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
        access = self._provider.access.get(header)
        if call.get("params", {}).get("name") == "admin" and access and "admin" not in access.scopes:
            challenge = b'Bearer error="insufficient_scope", scope="admin"'
            headers = [(b"www-authenticate", challenge), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return

        unread: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Any:
            return unread.pop() if unread else await receive()

        await self._app(scope, replay, send)


def mcp_server(provider: Provider, issuer: str, url: str) -> ASGIApp:
    """Return an MCP server whose tools return the person that the token is for."""
    auth = AuthSettings(
        issuer_url=AnyHttpUrl(issuer),
        resource_server_url=AnyHttpUrl(url),
        required_scopes=["read"],
        validate_token_resource=True,
    )

    class Verifier:
        async def verify_token(self, token: str) -> AccessToken | None:
            return await provider.load_access_token(token)

    server = MCPServer("notes", log_level="CRITICAL", auth=auth, token_verifier=Verifier())

    def person() -> str:
        access = get_access_token()
        return "nobody" if access is None else access.subject or "nobody"

    @server.tool()
    def whoami() -> str:
        """Return the person."""
        return f"You are {person()}."

    @server.tool()
    def admin() -> str:
        """Administrate."""
        return f"{person()} administrates."

    return _RequireAdmin(server.streamable_http_app(), provider)


def authorization_server(provider: Provider, issuer: str, *, registers: bool = True) -> Starlette:
    """Return the authorization server, with a route that revokes all tokens of the person."""

    async def forget(_: Request) -> Response:
        provider.revoke(provider.person)
        return Response(status_code=204)

    options = ClientRegistrationOptions(enabled=registers, valid_scopes=SCOPES, default_scopes=["read"])
    routes = create_auth_routes(
        provider,
        AnyHttpUrl(issuer),
        client_registration_options=options,
        revocation_options=RevocationOptions(enabled=True),
    )
    return Starlette(routes=[*routes, Route("/forget", forget, methods=["POST"])])


@contextmanager
def oauth_servers(*, registers: bool = True) -> Generator[OAuthServers]:
    """Serve both servers on free ports of this machine."""
    provider = Provider()
    with ExitStack() as stack:
        authorizing, serving = bound(), bound()
        issuer = f"http://127.0.0.1:{authorizing.getsockname()[1]}"
        url = f"http://127.0.0.1:{serving.getsockname()[1]}/mcp"
        stack.enter_context(served(authorization_server(provider, issuer, registers=registers), authorizing))
        stack.enter_context(served(mcp_server(provider, issuer, url), serving))
        yield OAuthServers(provider, issuer, url)
