"""Find the authorization server of an MCP server.

Sources: "Authorization" in the Model Context Protocol, versions 2025-06-18 and 2025-11-25; RFC 9728 for the metadata of
the MCP server; RFC 8414 and OpenID Connect Discovery for those of the authorization server. The requests and the models
are those of the SDK, whose `OAuthClientProvider` cannot be used: it waits in one process until the user has consented.
"""

from http import HTTPStatus

import httpx2
from mcp.client.auth import OAuthFlowError
from mcp.client.auth.utils import (
    build_oauth_authorization_server_metadata_discovery_urls,
    build_protected_resource_metadata_discovery_urls,
    create_oauth_metadata_request,
    extract_resource_metadata_from_www_auth,
    extract_scope_from_www_auth,
    get_client_metadata_scopes,
    issuers_match,
    validate_metadata_issuer,
)
from mcp.shared.auth import DEFAULT_GRANT_TYPES, OAuthMetadata, ProtectedResourceMetadata
from mcp.shared.auth_utils import check_resource_allowed, resource_url_from_server_url
from pydantic import BaseModel, ConfigDict, ValidationError

from tertulia.tools.mcp.config import HttpServer
from tertulia.tools.mcp.oauth.requests import AuthorizationError, AuthorizationHttp

PKCE_METHOD = "S256"
PROBE = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
"""A request that a server refuses with a 401, which names its metadata."""


class AuthorizationServer(BaseModel):
    """The authorization server of an MCP server.

    Attributes:
        metadata: The metadata of RFC 8414.
        resource: The identifier of the MCP server (RFC 8707), for which tokens are valid.
        scope: The scopes to request; None for the default of the server.
    """

    model_config = ConfigDict(frozen=True)

    metadata: OAuthMetadata
    resource: str
    scope: str | None

    @property
    def issuer(self) -> str:
        """The identifier of the authorization server."""
        return str(self.metadata.issuer)


async def discover(http: AuthorizationHttp, server: HttpServer) -> AuthorizationServer:
    """Return the authorization server of an MCP server; raise AuthorizationError if none can be used."""
    headers = {"Accept": "application/json, text/event-stream"}
    challenge = await http.send(httpx2.Request("POST", server.url, json=PROBE, headers=headers))
    # None unless it is a 401 or a 403.
    named_url = extract_resource_metadata_from_www_auth(challenge)
    protected = await _protected_resource(http, server.url, named_url)
    metadata = await _metadata(http, server.url, protected)
    _check(http, metadata)
    if server.scopes is not None:
        scope = " ".join(server.scopes) or None
    else:
        challenged = extract_scope_from_www_auth(challenge)
        scope = get_client_metadata_scopes(challenged, protected, metadata, DEFAULT_GRANT_TYPES)
    resource = resource_url_from_server_url(server.url) if protected is None else str(protected.resource)
    return AuthorizationServer(metadata=metadata, resource=resource, scope=scope)


async def _protected_resource(
    http: AuthorizationHttp, url: str, named_url: str | None
) -> ProtectedResourceMetadata | None:
    for candidate in build_protected_resource_metadata_discovery_urls(named_url, url):
        response = await http.send(create_oauth_metadata_request(candidate))
        if response.is_server_error or response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            raise AuthorizationError("The MCP server failed to send its metadata.")
        if not response.is_success:
            continue
        try:
            protected = ProtectedResourceMetadata.model_validate_json(response.content)
        except ValidationError:
            continue
        if not check_resource_allowed(resource_url_from_server_url(url), str(protected.resource)):
            raise AuthorizationError("The metadata of the MCP server are for another server.")
        return protected
    return None


async def _metadata(http: AuthorizationHttp, url: str, protected: ProtectedResourceMetadata | None) -> OAuthMetadata:
    server_url = None if protected is None else str(protected.authorization_servers[0])
    for candidate in build_oauth_authorization_server_metadata_discovery_urls(server_url, url):
        response = await http.send(create_oauth_metadata_request(candidate))
        if response.is_server_error:
            break
        if not response.is_success:
            continue
        try:
            metadata = OAuthMetadata.model_validate_json(response.content)
        except ValidationError:
            continue
        _check_issuer(metadata, server_url or candidate.partition("/.well-known/")[0])
        return metadata
    raise AuthorizationError("The MCP server names no authorization server with metadata (RFC 9728, RFC 8414).")


def _check_issuer(metadata: OAuthMetadata, expected: str) -> None:
    issuer = str(metadata.issuer)
    try:
        validate_metadata_issuer(metadata, issuer if issuers_match(issuer, expected) else expected)
    except OAuthFlowError:
        raise AuthorizationError("The metadata of the authorization server are from another issuer.") from None


def _check(http: AuthorizationHttp, metadata: OAuthMetadata) -> None:
    """Raise AuthorizationError without PKCE, which the protocol requires, or if an address is not allowed."""
    if PKCE_METHOD not in (metadata.code_challenge_methods_supported or ()):
        raise AuthorizationError("The authorization server does not support PKCE with S256.")
    for url in (
        metadata.authorization_endpoint,
        metadata.token_endpoint,
        metadata.registration_endpoint,
        metadata.revocation_endpoint,
    ):
        if url is not None:
            http.check(str(url))
