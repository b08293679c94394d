"""Sign-in through an identity provider: exchange codes and refresh tokens of clients for the provider's tokens.

The server sends these requests, and not the page: the page needs no access to other hosts, providers need not allow its
origin, and the client may have a secret. The server stores nothing of a sign-in.

Sources: OpenID Connect Core 1.0, sections 3.1.3 and 12; RFC 7636 (PKCE); RFC 8628 (device code); RFC 7009 (revocation).
"""

import asyncio
import logging
import time
from base64 import b64encode
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel, ValidationError

from tertulia.server.auth.oidc import OidcAuth, is_safe, read_body
from tertulia.server.auth.providers import Unauthenticated, Unavailable

CODE_GRANT = "authorization_code"
REFRESH_GRANT = "refresh_token"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
REFETCH_AFTER = 3600.0
"""Seconds after which the addresses of the provider are fetched again."""
RETRY_AFTER = 5.0
"""Seconds between attempts to fetch them."""
TIMEOUT_SECONDS = 10.0
"""Seconds for a response of the provider, including the wait for one of `AT_ONCE`."""
AT_ONCE = 20
"""Concurrent requests to the provider from one process."""
DOWN = "The identity provider cannot be reached. Try again later."
DEVICE_ERRORS = {
    "authorization_pending": "The sign-in has not been allowed yet.",
    "slow_down": "Ask less often.",
    "access_denied": "The sign-in was not allowed.",
    "expired_token": "The code has expired. Sign in again.",
}
"""The messages of the errors of RFC 8628, section 3.5, which clients handle themselves."""

logger = logging.getLogger("tertulia.oidc")


class GrantRefused(Exception):
    """The provider, or this server, does not accept a grant.

    Attributes:
        code: The error code of OAuth (RFC 6749, section 5.2).
        status: The status of the response.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass(frozen=True, slots=True)
class ProviderClient:
    """This server as a client of the provider."""

    id: str
    secret: str | None = field(repr=False)
    scopes: str


class ProviderEndpoints(BaseModel):
    """The addresses of the provider, from its discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str | None = None
    end_session_endpoint: str | None = None
    device_authorization_endpoint: str | None = None
    token_endpoint_auth_methods_supported: list[str] = ["client_secret_basic"]

    def all(self) -> list[str]:
        """Return all addresses."""
        optional = self.revocation_endpoint, self.end_session_endpoint, self.device_authorization_endpoint
        return [self.authorization_endpoint, self.token_endpoint, *filter(None, optional)]


class DeviceCodes(BaseModel):
    """The codes of a sign-in on a device without a browser (RFC 8628, section 3.2)."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None = None
    expires_in: int
    interval: int = 5


@dataclass(frozen=True, slots=True)
class ProviderTokens:
    """The tokens of a sign-in.

    Attributes:
        access: The token that this server accepts: the provider's access token, or its ID token.
        expires_in: Seconds until it expires.
        refresh: The refresh token; None if the provider issued none.
        id_token: The ID token, for signing out at the provider; None if there is none.
    """

    access: str
    expires_in: int
    refresh: str | None
    id_token: str | None


class ProviderGrants:
    """Exchanges codes and refresh tokens at the provider."""

    def __init__(self, auth: OidcAuth, client: ProviderClient) -> None:
        """Initialize with the authentication that accepts the provider's tokens, and the client."""
        self._auth = auth
        self.client = client
        self._endpoints: ProviderEndpoints | None = None
        self._fetch_after = float("-inf")
        self._fetching = asyncio.Lock()
        self._semaphore = asyncio.Semaphore(AT_ONCE)

    async def endpoints(self) -> ProviderEndpoints:
        """Return the addresses of the provider; raise Unavailable if they were never fetched."""
        async with self._fetching:
            if time.monotonic() >= self._fetch_after:
                fetched = await self._fetch_endpoints()
                self._fetch_after = time.monotonic() + (RETRY_AFTER if fetched is None else REFETCH_AFTER)
                self._endpoints = fetched or self._endpoints
        if self._endpoints is None:
            raise Unavailable(DOWN)
        return self._endpoints

    async def exchange_code(self, code: str, verifier: str, redirect_uri: str, nonce: str) -> ProviderTokens:
        """Exchange an authorization code. The ID token must contain the nonce.

        Raises:
            GrantRefused: The code has expired or was used before, or the provider's tokens cannot be used here.
            Unavailable: The provider cannot be reached.
        """
        form = {"grant_type": CODE_GRANT, "code": code, "code_verifier": verifier, "redirect_uri": redirect_uri}
        response = await self._request_tokens(form)
        await self._check_id_token(response, nonce)
        return await self._tokens(response)

    async def refresh(self, refresh_token: str) -> ProviderTokens:
        """Exchange a refresh token; raises GrantRefused, Unavailable."""
        response = await self._request_tokens({"grant_type": REFRESH_GRANT, "refresh_token": refresh_token})
        # A provider that does not rotate refresh tokens need not repeat it (RFC 6749, section 6).
        return await self._tokens({"refresh_token": refresh_token, **response})

    async def poll_device(self, device_code: str) -> ProviderTokens:
        """Exchange a device code, once the user has allowed it; raises GrantRefused, Unavailable."""
        return await self._tokens(await self._request_tokens({"grant_type": DEVICE_GRANT, "device_code": device_code}))

    async def begin_device(self) -> DeviceCodes:
        """Return the codes for a device without a browser; raises GrantRefused, Unavailable."""
        endpoint = (await self.endpoints()).device_authorization_endpoint
        if endpoint is None:
            message = "The identity provider offers no sign-in with a code. Use a personal access token."
            raise GrantRefused("unsupported_grant_type", message)
        try:
            return DeviceCodes.model_validate(await self._post(endpoint, {"scope": self.client.scopes}))
        except ValidationError as error:
            logger.warning("The identity provider sent invalid codes from %s", endpoint)
            raise Unavailable(DOWN) from error

    async def revoke(self, refresh_token: str) -> None:
        """Revoke a refresh token, if the provider supports it. An unknown token is no error; raises Unavailable."""
        endpoint = (await self.endpoints()).revocation_endpoint
        if endpoint is not None:
            await self._post(endpoint, {"token": refresh_token, "token_type_hint": "refresh_token"}, may_be_empty=True)

    async def _fetch_endpoints(self) -> ProviderEndpoints | None:
        url = self._auth.issuer.rstrip("/") + "/.well-known/openid-configuration"
        try:
            async with _session() as session, session.get(url, allow_redirects=False) as response:
                response.raise_for_status()
                endpoints = ProviderEndpoints.model_validate_json(await read_body(response))
        except (aiohttp.ClientError, TimeoutError, OSError, ValidationError) as error:
            logger.warning("The addresses of the identity provider cannot be fetched from %s: %s", url, error)
            return None
        if endpoints.issuer == self._auth.issuer and all(is_safe(address) for address in endpoints.all()):
            return endpoints
        logger.error("%s must name the issuer %s and only HTTPS addresses", url, self._auth.issuer)
        return None

    async def _request_tokens(self, form: dict[str, str]) -> dict[str, Any]:
        return await self._post((await self.endpoints()).token_endpoint, form)

    async def _post(self, url: str, form: dict[str, str], *, may_be_empty: bool = False) -> dict[str, Any]:
        """Return the JSON object of a response; raise GrantRefused or Unavailable."""
        headers, credentials = self._authentication(await self.endpoints())
        try:
            async with (
                asyncio.timeout(TIMEOUT_SECONDS),
                self._semaphore,
                _session() as session,
                session.post(url, data=form | credentials, headers=headers, allow_redirects=False) as response,
            ):
                status, body = response.status, await read_body(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            logger.warning("The identity provider did not respond at %s: %s", url, error)
            raise Unavailable(DOWN) from error
        if may_be_empty and status == HTTPStatus.OK:
            return {}
        return _fields(url, status, body)

    def _authentication(self, endpoints: ProviderEndpoints) -> tuple[dict[str, str], dict[str, str]]:
        """Return the headers and the fields by which the provider recognizes the client (RFC 6749, section 2.3.1)."""
        id, secret = self.client.id, self.client.secret
        if secret is None:
            return {}, {"client_id": id}
        if "client_secret_basic" in endpoints.token_endpoint_auth_methods_supported:
            pair = f"{quote(id, safe='')}:{quote(secret, safe='')}"
            return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}, {"client_id": id}
        return {}, {"client_id": id, "client_secret": secret}

    async def _check_id_token(self, response: dict[str, Any], nonce: str) -> None:
        """Raise GrantRefused unless the ID token is for this client and sign-in."""
        try:
            claims = await self._auth.claims_of(str(response.get("id_token") or ""), self.client.id)
        except Unauthenticated:
            claims = {}
        # Without these checks, a code or a token of another sign-in or client could be injected.
        if claims.get("nonce") != nonce or claims.get("azp", self.client.id) != self.client.id:
            logger.warning("The identity provider sent no ID token for this client and sign-in")
            raise GrantRefused("invalid_grant", "The sign-in does not belong to this browser. Sign in again.")

    async def _tokens(self, response: dict[str, Any]) -> ProviderTokens:
        """Return the tokens of a response; raise GrantRefused if this server accepts none of them."""
        id_token = _text(response, "id_token")
        for token in filter(None, (_text(response, "access_token"), id_token)):
            try:
                claims = await self._auth.claims_of(token)
            except Unauthenticated:
                continue
            try:
                await self._auth.user_of(claims)
            except Unauthenticated as error:
                raise GrantRefused("access_denied", error.message, 403) from error
            expires_in = max(int(claims["exp"] - time.time()), 0)
            return ProviderTokens(token, expires_in, _text(response, "refresh_token"), id_token)
        logger.error(
            "Neither the access token nor the ID token of %s is a JWT for the audience %s. Correct "
            "TERTULIA_OIDC_AUDIENCE, or add the audience to the client %s at the provider",
            *(self._auth.issuer, self._auth.audience, self.client.id),
        )
        message = "The identity provider's tokens are not for this server. Ask the administrator."
        raise GrantRefused("server_error", message, 502)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT_SECONDS))


def _fields(url: str, status: int, body: bytes) -> dict[str, Any]:
    """Return the fields of a successful response; raise GrantRefused or Unavailable."""
    try:
        response = _ProviderResponse.model_validate_json(body)
    except ValidationError:
        response = _ProviderResponse(error=None)
    if status == HTTPStatus.OK and response.error is None and response.model_extra:
        return response.model_extra
    code = response.error
    if code in DEVICE_ERRORS:
        raise GrantRefused(code, DEVICE_ERRORS[code])
    if code == "invalid_grant":
        raise GrantRefused(code, "The sign-in has expired or was used before. Sign in again.")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.warning("The identity provider failed at %s with the status %s", url, status)
        raise Unavailable(DOWN)
    logger.error(
        "The identity provider refused a request at %s with the status %s and the error %s. Check "
        "TERTULIA_OIDC_CLIENT_ID, TERTULIA_OIDC_CLIENT_SECRET and TERTULIA_OIDC_SCOPES",
        *(url, status, code),
    )
    raise GrantRefused("server_error", "The identity provider refused this server. Ask the administrator.", 502)


class _ProviderResponse(BaseModel, extra="allow"):
    """A response of the provider: an error, or other fields."""

    error: str | None = None


def _text(response: dict[str, Any], name: str) -> str | None:
    value = response.get(name)
    return value if isinstance(value, str) and value else None
