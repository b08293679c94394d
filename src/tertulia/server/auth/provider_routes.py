"""`/auth` in the mode `oidc`: sign-in through the identity provider, and the deletion of the account."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tertulia.ratelimit.limits import Rate, Rates
from tertulia.server.auth.authenticator import Authenticator
from tertulia.server.auth.backchannel import BackchannelLogout
from tertulia.server.auth.forms import SIGNED_IN, BadForm, described, fields
from tertulia.server.auth.provider_grants import (
    CODE_GRANT,
    DEVICE_GRANT,
    REFRESH_GRANT,
    GrantRefused,
    ProviderGrants,
    ProviderTokens,
)
from tertulia.server.auth.providers import Unauthenticated, Unavailable
from tertulia.server.auth.routes import NO_STORE, error_response
from tertulia.server.auth.sessions import TRIES_OF_ADDRESS, RemoveUser, TooManyTries
from tertulia.server.auth.throttle import network_of

RETRY_AFTER = {"Retry-After": "5"}
REFRESHES_OF_ADDRESS = Rate("refreshes from an address", "600/minute")
"""Each is a request to the provider. Many users may share an address, and refresh every few minutes."""


class ProviderAccounts:
    """Serves the routes below `/auth` in the mode `oidc`."""

    def __init__(
        self,
        grants: ProviderGrants | None,
        logout: BackchannelLogout | None,
        rates: Rates,
        authenticator: Authenticator,
        remove_user: RemoveUser,
    ) -> None:
        """Create the service.

        Args:
            grants: Exchanges codes at the provider; None if no client is configured.
            logout: Signs users out at the request of the provider; None if no client is configured.
            rates: Counts attempts by address.
            authenticator: Authenticates the users who delete their accounts, and closes their connections.
            remove_user: Deletes a user and all their data.
        """
        self._grants = grants
        self._logout = logout
        self._rates = rates
        self._authenticator = authenticator
        self._remove_user = remove_user

    async def provider(self, _request: Request) -> Response:
        """Return the addresses with which a page begins and ends a sign-in."""
        grants = self._require_grants()
        endpoints = await grants.endpoints()
        return JSONResponse(
            {
                "issuer": endpoints.issuer,
                "client_id": grants.client.id,
                "scope": grants.client.scopes,
                "authorization_endpoint": endpoints.authorization_endpoint,
                "end_session_endpoint": endpoints.end_session_endpoint,
            },
            headers=NO_STORE,
        )

    async def token(self, request: Request) -> Response:
        """Exchange a code, a device code or a refresh token."""
        form, grants = await fields(request), self._require_grants()
        match form.get("grant_type"):
            case "authorization_code":
                await self._check_rate(request)
                names = "code", "code_verifier", "redirect_uri", "nonce"
                return _tokens(await grants.exchange_code(*(_required(form, name) for name in names)))
            case "urn:ietf:params:oauth:grant-type:device_code":
                await self._check_rate(request)
                return _tokens(await grants.poll_device(_required(form, "device_code")))
            case "refresh_token":
                return await self._refresh(request, form)
            case None:
                raise BadForm("`grant_type` is required.")
            case _:
                accepted = f"`{CODE_GRANT}`, `{REFRESH_GRANT}` or `{DEVICE_GRANT}`"
                raise GrantRefused("unsupported_grant_type", f"`grant_type` must be {accepted}.")

    async def refresh(self, request: Request) -> Response:
        """Exchange a refresh token."""
        return await self._refresh(request, await fields(request))

    async def device(self, request: Request) -> Response:
        """Start a sign-in on a device without a browser."""
        await self._check_rate(request)
        codes = await self._require_grants().begin_device()
        return JSONResponse(codes.model_dump(exclude_none=True), headers=NO_STORE)

    async def revoke(self, request: Request) -> Response:
        """Revoke a refresh token at the provider."""
        form = await fields(request)
        await self._check_rate(request, REFRESHES_OF_ADDRESS)
        await self._require_grants().revoke(_required(form, "token"))
        return JSONResponse({}, headers=NO_STORE)

    async def backchannel_logout(self, request: Request) -> Response:
        """Sign a user out at the request of the provider."""
        form = await fields(request)
        await self._check_rate(request, REFRESHES_OF_ADDRESS)
        if self._logout is None:
            raise _no_client()
        address = request.client.host if request.client else ""
        viewer = await self._logout.sign_out(_required(form, "logout_token"), address)
        if viewer is not None:
            self._authenticator.notify(viewer)
        return JSONResponse({}, headers=NO_STORE)

    async def delete(self, request: Request) -> Response:
        """Delete the account of the viewer, who repeats its name."""
        admitted = await self._authenticator.admit(request)
        viewer, form = admitted.context.viewer, await fields(request)
        if not viewer.signed_in:
            raise Unauthenticated("A personal access token does not allow this. Sign in.", token_sent=True)
        if _required(form, "username") != viewer.user_name:
            raise BadForm("`username` must be the name of the account that is deleted.")
        counts = await self._remove(viewer.user_id)
        self._authenticator.notify(viewer)
        return JSONResponse({"deleted": counts}, headers=NO_STORE)

    async def _remove(self, user_id: UUID) -> dict[str, int]:
        return await self._remove_user(user_id) or {}

    def _require_grants(self) -> ProviderGrants:
        if self._grants is None:
            raise _no_client()
        return self._grants

    async def _refresh(self, request: Request, form: dict[str, str]) -> Response:
        grants, refresh_token = self._require_grants(), _required(form, "refresh_token")
        await self._check_rate(request, REFRESHES_OF_ADDRESS)
        return _tokens(await grants.refresh(refresh_token))

    async def _check_rate(self, request: Request, rate: Rate = TRIES_OF_ADDRESS) -> None:
        address = request.client.host if request.client else ""
        seconds = await self._rates.hit(rate, network_of(address))
        if seconds is not None:
            raise TooManyTries(seconds)


Serve = Callable[[ProviderAccounts, Request], Awaitable[Response]]
GRANT = described(
    *("grant_type", "code", "code_verifier", "redirect_uri", "nonce", "refresh_token", "device_code"),
    required=("grant_type",),
)
ROUTES: tuple[tuple[str, str, str, Serve, dict[str, Any]], ...] = (
    ("GET", "/provider", "Read how to sign in at the identity provider", ProviderAccounts.provider, {}),
    (
        "POST",
        "/token",
        "Exchange a code, a device code or a refresh token of the provider",
        ProviderAccounts.token,
        GRANT,
    ),
    ("POST", "/refresh", "Exchange a refresh token", ProviderAccounts.refresh, described("refresh_token")),
    ("POST", "/device", "Start a sign-in on a device without a browser", ProviderAccounts.device, {}),
    ("POST", "/revoke", "Revoke a refresh token at the provider", ProviderAccounts.revoke, described("token")),
    (
        "POST",
        "/backchannel-logout",
        "Sign a user out at the request of the provider",
        ProviderAccounts.backchannel_logout,
        described("logout_token"),
    ),
    (
        "DELETE",
        "/user",
        "Delete the account with all of the user's data, permanently",
        ProviderAccounts.delete,
        described("username") | SIGNED_IN,
    ),
)


def provider_router(accounts: Callable[[], ProviderAccounts]) -> APIRouter:
    """Return the routes. `accounts` returns the service."""
    router = APIRouter(prefix="/auth", tags=["auth"])
    for method, path, summary, serve, form in ROUTES:
        endpoint = _with_oauth_errors(serve, accounts)
        router.add_api_route(path, endpoint, methods=[method], summary=summary, name=path[1:], openapi_extra=form)
    return router


def _with_oauth_errors(
    serve: Serve, accounts: Callable[[], ProviderAccounts]
) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        try:
            return await serve(accounts(), request)
        except BadForm as error:
            return error_response(400, "invalid_request", str(error))
        except GrantRefused as error:
            return error_response(error.status, error.code, str(error))
        except TooManyTries as error:
            return error_response(429, "slow_down", str(error), {"Retry-After": str(error.seconds)})
        except Unavailable as error:
            return error_response(503, "temporarily_unavailable", str(error), RETRY_AFTER)

    return handle


def _no_client() -> GrantRefused:
    message = "This server is not a client of the identity provider: TERTULIA_OIDC_CLIENT_ID is not set."
    return GrantRefused("invalid_client", message, 404)


def _tokens(tokens: ProviderTokens) -> Response:
    body = {
        "access_token": tokens.access,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in,
        "refresh_token": tokens.refresh,
        "id_token": tokens.id_token,
    }
    return JSONResponse(body, headers=NO_STORE)


def _required(form: dict[str, str], name: str) -> str:
    if not form.get(name):
        raise BadForm(f"`{name}` is required.")
    return form[name]
