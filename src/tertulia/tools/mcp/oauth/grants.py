"""Requests to an authorization server: registration, authorization, tokens and revocation.

Sources: OAuth 2.1, RFC 7591 (registration), RFC 7636 (PKCE), RFC 8707 (resource), RFC 9207 (issuer), RFC 7009
(revocation).
"""

import base64
import time
from urllib.parse import quote, urlencode, urlsplit

import httpx2
from mcp.client.auth import OAuthFlowError, OAuthRegistrationError, PKCEParameters
from mcp.client.auth.oauth2 import check_registration_usable
from mcp.client.auth.utils import (
    create_client_registration_request,
    handle_registration_response,
    validate_authorization_response_iss,
)
from mcp.shared.auth import OAuthClientMetadata, OAuthMetadata, OAuthToken, TokenEndpointAuthMethod
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, ValidationError

from tertulia.json import is_object, loads
from tertulia.tools.mcp.config import HttpServer
from tertulia.tools.mcp.oauth.discovery import PKCE_METHOD, AuthorizationServer
from tertulia.tools.mcp.oauth.requests import AuthorizationError, AuthorizationHttp, GrantRefusedError, is_loopback

EARLY_SECONDS = 30.0
"""Access tokens are refreshed this long before they expire, or after half of their lifetime if it is short."""
METHODS: tuple[TokenEndpointAuthMethod, ...] = ("client_secret_post", "client_secret_basic", "none")
"""How Tertulia can authenticate at token endpoints, the preferred one first.

Authorization servers that are built with the official SDK accept revocations only with the first.
"""


class Client(BaseModel):
    """The registration of Tertulia at an authorization server."""

    model_config = ConfigDict(frozen=True)

    id: str
    secret: str | None = Field(default=None, repr=False)
    method: str = "none"
    secret_expires_at: float = 0
    """Seconds since 1970; 0 for no expiry."""
    scope: str | None = None
    """The scopes that it was registered for; None if there is no restriction."""

    def accepts(self, scope: str | None) -> bool:
        """Return whether the authorization server accepts requests of this client for some scopes."""
        if 0 < self.secret_expires_at <= time.time():
            return False
        return self.scope is None or set((scope or "").split()) <= set(self.scope.split())


class PendingAuthorization(BaseModel):
    """The secrets of an authorization that the user has begun, and the code when it has been sent."""

    model_config = ConfigDict(frozen=True)

    url: str
    """The address of the MCP server."""
    at: AuthorizationServer
    client: Client
    redirect_uri: str
    scope: str | None
    verifier: str = Field(repr=False)
    challenge: str
    code: str = Field(default="", repr=False)


class Grant(BaseModel):
    """The tokens of a user's connection to an MCP server."""

    model_config = ConfigDict(frozen=True)

    url: str
    """The address of the MCP server. The tokens are sent to no other."""
    at: AuthorizationServer
    client: Client
    access_token: str = Field(repr=False)
    refresh_token: str | None = Field(default=None, repr=False)
    refresh_at: float | None = None
    """When the access token must be refreshed before it is used, in seconds since 1970; None if unknown."""
    scope: str | None = None

    @property
    def is_expiring(self) -> bool:
        """Whether the access token must be refreshed before it is used."""
        return self.refresh_at is not None and self.refresh_at <= time.time()


def configured_client(server: HttpServer, metadata: OAuthMetadata) -> Client | None:
    """Return the client that the operator has registered; None if there is none."""
    if server.client_id is None:
        return None
    method = _method(metadata) if server.client_secret is not None else "none"
    return Client(id=server.client_id, secret=server.client_secret, method=method)


def _method(metadata: OAuthMetadata) -> TokenEndpointAuthMethod:
    # The default of RFC 8414, section 2.
    supported = metadata.token_endpoint_auth_methods_supported or ["client_secret_basic"]
    for method in METHODS:
        if method in supported:
            return method
    return "none"


async def register(http: AuthorizationHttp, at: AuthorizationServer, redirect_uri: str, scope: str | None) -> Client:
    """Register Tertulia at an authorization server (RFC 7591); raise AuthorizationError if it does not accept this."""
    if at.metadata.registration_endpoint is None:
        raise AuthorizationError(
            "The authorization server does not register clients. Register one, and set `clientId` in the MCP file."
        )
    parts = urlsplit(redirect_uri)
    wanted = OAuthClientMetadata(
        redirect_uris=[AnyUrl(redirect_uri)],
        client_name="Tertulia",
        scope=scope,
        token_endpoint_auth_method=_method(at.metadata),
        application_type="native" if is_loopback(parts.hostname) else "web",
    )
    response = await http.send(create_client_registration_request(at.metadata, wanted, at.issuer))
    try:
        registered = await handle_registration_response(response)
        check_registration_usable(registered)
    except OAuthRegistrationError:
        raise AuthorizationError("The authorization server refused to register this server.") from None
    return Client(
        id=registered.client_id,
        secret=registered.client_secret,
        method=registered.token_endpoint_auth_method or ("client_secret_basic" if registered.client_secret else "none"),
        secret_expires_at=registered.client_secret_expires_at or 0,
        scope=scope,
    )


def begin(
    url: str, at: AuthorizationServer, client: Client, redirect_uri: str, scope: str | None
) -> PendingAuthorization:
    """Begin an authorization for the MCP server at `url`."""
    pkce = PKCEParameters.generate()
    return PendingAuthorization(
        url=url,
        at=at,
        client=client,
        redirect_uri=redirect_uri,
        scope=scope,
        verifier=pkce.code_verifier,
        challenge=pkce.code_challenge,
    )


def authorization_url(pending: PendingAuthorization, state: str) -> str:
    """Return the address at which the user consents."""
    parameters = {
        "response_type": "code",
        "client_id": pending.client.id,
        "redirect_uri": pending.redirect_uri,
        "state": state,
        "code_challenge": pending.challenge,
        "code_challenge_method": PKCE_METHOD,
        "resource": pending.at.resource,
    }
    if pending.scope:
        parameters["scope"] = pending.scope
        if "offline_access" in pending.scope.split():
            # OpenID Connect Core, section 11.
            parameters["prompt"] = "consent"
    endpoint = str(pending.at.metadata.authorization_endpoint)
    return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(parameters)}"


def check_issuer(at: AuthorizationServer, issuer: str | None) -> None:
    """Raise AuthorizationError if a code is from another authorization server (RFC 9207)."""
    try:
        validate_authorization_response_iss(issuer, at.metadata)
    except OAuthFlowError:
        raise AuthorizationError("The code is from another authorization server.") from None


async def exchange(http: AuthorizationHttp, pending: PendingAuthorization) -> Grant:
    """Return the tokens for a code; raise AuthorizationError if there are none."""
    form = {
        "grant_type": "authorization_code",
        "code": pending.code,
        "redirect_uri": pending.redirect_uri,
        "code_verifier": pending.verifier,
        "resource": pending.at.resource,
    }
    token = await _token(http, pending.at, pending.client, form)
    return Grant(
        url=pending.url,
        at=pending.at,
        client=pending.client,
        access_token=token.access_token,
        refresh_token=token.refresh_token,
        refresh_at=_refresh_at(token),
        # RFC 6749, section 5.1: without this field, all requested scopes were granted.
        scope=token.scope or pending.scope,
    )


async def refresh(http: AuthorizationHttp, grant: Grant) -> Grant:
    """Return new tokens; raise AuthorizationError if there are none."""
    if grant.refresh_token is None:
        raise GrantRefusedError("invalid_grant")
    form = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token, "resource": grant.at.resource}
    token = await _token(http, grant.at, grant.client, form)
    return grant.model_copy(
        update={
            "access_token": token.access_token,
            "refresh_token": token.refresh_token or grant.refresh_token,
            "refresh_at": _refresh_at(token),
            "scope": token.scope or grant.scope,
        }
    )


async def revoke(http: AuthorizationHttp, grant: Grant) -> None:
    """Revoke tokens, if the authorization server supports it; raise AuthorizationError if it does not succeed."""
    if (endpoint := grant.at.metadata.revocation_endpoint) is not None:
        kind = "access_token" if grant.refresh_token is None else "refresh_token"
        form = {"token": grant.refresh_token or grant.access_token, "token_type_hint": kind}
        response = await http.send(_authenticated(str(endpoint), grant.client, form))
        if not response.is_success:
            raise AuthorizationError(f"The authorization server responded with the HTTP status {response.status_code}.")


async def _token(http: AuthorizationHttp, at: AuthorizationServer, client: Client, form: dict[str, str]) -> OAuthToken:
    response = await http.send(_authenticated(str(at.metadata.token_endpoint), client, form))
    if response.status_code in (200, 201):
        try:
            return OAuthToken.model_validate_json(response.content)
        except ValidationError:
            raise AuthorizationError("The authorization server sent tokens that cannot be used.") from None
    if response.status_code in (400, 401) and (code := _error_code(response.content)) is not None:
        raise GrantRefusedError(code)
    raise AuthorizationError(f"The authorization server responded with the HTTP status {response.status_code}.")


def _authenticated(url: str, client: Client, form: dict[str, str]) -> httpx2.Request:
    """Return a request of the client (RFC 6749, section 2.3.1)."""
    headers = {"Accept": "application/json"}
    form = {**form, "client_id": client.id}
    if client.secret is not None and client.method == "client_secret_basic":
        credentials = f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}"
        headers["Authorization"] = f"Basic {base64.b64encode(credentials.encode()).decode()}"
    elif client.secret is not None and client.method == "client_secret_post":
        form["client_secret"] = client.secret
    return httpx2.Request("POST", url, data=form, headers=headers)


def _error_code(body: bytes) -> str | None:
    try:
        content = loads(body)
    except ValueError:
        return None
    code = content.get("error") if is_object(content) else None
    return code if isinstance(code, str) else None


def _refresh_at(token: OAuthToken) -> float | None:
    if token.expires_in is None:
        return None
    return time.time() + token.expires_in - min(EARLY_SECONDS, token.expires_in / 2)
