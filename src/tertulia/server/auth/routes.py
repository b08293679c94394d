"""`/auth`: accounts and sign-in of the mode `password`, with OAuth's password and refresh grants.

Sources: RFC 6749, sections 4.3, 5 and 6 (grants, responses, errors); RFC 7009 (revocation); RFC 9700 (rotation).
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tertulia.server.auth.forms import SIGNED_IN, BadForm, described, fields
from tertulia.server.auth.guests import NotAGuest
from tertulia.server.auth.passwords import Unfit
from tertulia.server.auth.providers import Unauthenticated
from tertulia.server.auth.sessions import BadGrant, SignIns, SignInTokens, TooManyTries

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
Form = dict[str, str]


def accounts_router(sign_ins: Callable[[], SignIns], *, guests: bool) -> APIRouter:
    """Return the routes, with that of guests if they are allowed. `sign_ins` returns the service of accounts."""
    router = APIRouter(prefix="/auth", tags=["auth"])
    for method, path, summary, serve, form in (*ROUTES, *([GUEST] if guests else [])):
        router.add_api_route(
            path,
            _with_oauth_errors(serve, sign_ins),
            methods=[method],
            summary=summary,
            name=path[1:],
            openapi_extra=form,
        )
    return router


async def _register(sign_ins: SignIns, request: Request) -> Response:
    form = await fields(request)
    account = _required(form, "username"), _required(form, "password"), _address(request)
    tokens = await sign_ins.register(*account, form.get("guest_token"), _user_agent(request))
    body = {"id": str(tokens.user.id), "username": tokens.user.name, **_tokens(tokens)}
    return JSONResponse(body, 201, NO_STORE)


async def _guest(sign_ins: SignIns, request: Request) -> Response:
    tokens = await sign_ins.enter_as_guest(_address(request), _user_agent(request))
    body = {"id": str(tokens.user.id), "username": tokens.user.name, **_tokens(tokens)}
    return JSONResponse(body, 201, NO_STORE)


async def _token(sign_ins: SignIns, request: Request) -> Response:
    form = await fields(request)
    match form.get("grant_type"):
        case "password":
            account = _required(form, "username"), _required(form, "password"), _address(request)
            tokens = await sign_ins.sign_in(*account, form.get("guest_token"), _user_agent(request))
        case "refresh_token":
            tokens = await sign_ins.refresh(_required(form, "refresh_token"), _address(request))
        case None:
            raise BadForm("`grant_type` is required.")
        case _:
            raise BadGrant("unsupported_grant_type", "`grant_type` must be `password` or `refresh_token`.")
    return JSONResponse(_tokens(tokens), headers=NO_STORE)


async def _refresh(sign_ins: SignIns, request: Request) -> Response:
    form = await fields(request)
    tokens = await sign_ins.refresh(_required(form, "refresh_token"), _address(request))
    return JSONResponse(_tokens(tokens), headers=NO_STORE)


async def _revoke(sign_ins: SignIns, request: Request) -> Response:
    form = await fields(request)
    await sign_ins.revoke(_required(form, "token"), _address(request))
    return JSONResponse({}, headers=NO_STORE)


async def _change_password(sign_ins: SignIns, request: Request) -> Response:
    form = await fields(request)
    passwords = _required(form, "password"), _required(form, "new_password")
    client = _address(request), _user_agent(request)
    tokens = await sign_ins.change_password(_authorization(request), *passwords, *client)
    return JSONResponse(_tokens(tokens), headers=NO_STORE)


async def _delete(sign_ins: SignIns, request: Request) -> Response:
    form = await fields(request)
    counts = await sign_ins.delete(_authorization(request), _required(form, "password"), _address(request))
    return JSONResponse({"deleted": counts}, headers=NO_STORE)


Serve = Callable[[SignIns, Request], Awaitable[Response]]
GRANT = described("grant_type", "username", "password", "refresh_token", "guest_token", required=("grant_type",))
ACCOUNT = described("username", "password", "guest_token", required=("username", "password"))
GUEST = ("POST", "/guest", "Enter as a guest, without an account", _guest, dict[str, Any]())
ROUTES: tuple[tuple[str, str, str, Serve, dict[str, Any]], ...] = (
    ("POST", "/register", "Create an account, and sign in", _register, ACCOUNT),
    (
        "POST",
        "/token",
        "Sign in with a password, or exchange a refresh token: `grant_type` is `password` or `refresh_token`",
        _token,
        GRANT,
    ),
    ("POST", "/refresh", "Exchange a refresh token", _refresh, described("refresh_token")),
    (
        "POST",
        "/revoke",
        "Sign out: revoke the sign-in of an access or refresh token, or a personal access token, and close its sockets",
        _revoke,
        described("token", "token_type_hint", required=("token",)),
    ),
    (
        "POST",
        "/password",
        "Change the password, and sign out everywhere else",
        _change_password,
        described("password", "new_password") | SIGNED_IN,
    ),
    (
        "DELETE",
        "/user",
        "Delete the account with all of the user's data, permanently",
        _delete,
        described("password") | SIGNED_IN,
    ),
)


def _with_oauth_errors(serve: Serve, sign_ins: Callable[[], SignIns]) -> Callable[[Request], Awaitable[Response]]:
    """Return a handler that responds to refusals with OAuth errors."""

    async def handle(request: Request) -> Response:
        try:
            return await serve(sign_ins(), request)
        except BadForm as error:
            return error_response(400, "invalid_request", str(error))
        except BadGrant as error:
            return error_response(error.status, error.code, str(error))
        except Unfit as error:
            return error_response(422, "invalid_request", str(error))
        except NotAGuest:
            message = "`guest_token` must be a valid token of a guest. Refresh it, or leave it out."
            return error_response(400, "invalid_grant", message)
        except TooManyTries as error:
            return error_response(429, "slow_down", str(error), {"Retry-After": str(error.seconds)})

    return handle


def error_response(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """Return an error in the form of OAuth (RFC 6749, section 5.2)."""
    body = {"error": code, "error_description": message}
    return JSONResponse(body, status, {**NO_STORE, **(headers or {})})


def _tokens(tokens: SignInTokens) -> dict[str, Any]:
    return {
        "access_token": tokens.access,
        "token_type": "Bearer",
        "expires_in": tokens.lasts_seconds,
        "refresh_token": tokens.refresh,
    }


def _required(form: Form, name: str) -> str:
    if not form.get(name):
        raise BadForm(f"`{name}` is required.")
    return form[name]


def _authorization(request: Request) -> str:
    authorization = request.headers.get("authorization")
    if authorization is None:
        raise Unauthenticated
    return authorization


def _user_agent(request: Request) -> str | None:
    return request.headers.get("user-agent")


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
