"""The routes through which a browser passes when a user connects to an MCP server with OAuth.

They need no sign-in: the first needs a ticket of the user, and the second a state that works once. The authorization is
used only when the user confirms it with `connectToolServer`.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tertulia.ratelimit.errors import RateLimited
from tertulia.resolvers.context import Services
from tertulia.resolvers.tool_connections import AUTHORIZE_ROUTE
from tertulia.server.http.problems import problem, too_many_requests
from tertulia.server.running_server import RunningServer

CALLBACK_ROUTE = "/tools/oauth/callback"
HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
CONFIRMATION, ERROR = "tool-connection", "tool-connection-error"
DENIED, EXPIRED, FAILED = "denied", "expired", "failed"
LONGEST = 4096
"""The maximum length of a parameter in characters."""
Parameter = Annotated[str | None, Query(max_length=LONGEST)]

logger = logging.getLogger("tertulia.mcp")


def tool_authorization_router(running: Callable[[], RunningServer], origins: Sequence[str]) -> APIRouter:
    """Return the routes.

    Args:
        running: Returns the running server.
        origins: The origins other than that of this server to which browsers may return.
    """
    router = APIRouter(include_in_schema=False)

    @router.get(AUTHORIZE_ROUTE)
    async def authorize(request: Request, ticket: Parameter = None, return_to: Parameter = None) -> Response:
        page = _page(request) if return_to is None else return_to
        if not _is_allowed(page, origins):
            message = "`return_to` must be a path on this server, or an address at an origin of TERTULIA_CORS_ORIGINS."
            return problem(400, "INVALID_RETURN", message)
        return await _begin(running().services, str(request.base_url), ticket, page)

    @router.get(CALLBACK_ROUTE)
    async def callback(
        request: Request,
        state: Parameter = None,
        code: Parameter = None,
        iss: Parameter = None,
        error: Parameter = None,
    ) -> Response:
        users = running().services.mcp.users
        code = None if error is not None else code
        received = None if users is None or not state else await users.connections.receive(state, code, iss)
        if received is None:
            return _redirect(f"{_page(request)}#{ERROR}={EXPIRED}")
        if received.confirmation is None:
            return _redirect(f"{received.return_to}#{ERROR}={DENIED if error == 'access_denied' else FAILED}")
        return _redirect(f"{received.return_to}#{CONFIRMATION}={received.confirmation}")

    return router


async def _begin(services: Services, address: str, ticket: str | None, page: str) -> Response:
    """Redirect to the authorization server, or to the page with an error."""
    users = services.mcp.users
    key = None if users is None or ticket is None else users.connections.read_ticket(ticket)
    if users is None or key is None:
        return _redirect(f"{page}#{ERROR}={EXPIRED}")
    from tertulia.tools.mcp.oauth.requests import AuthorizationError

    redirect_uri = (users.public_url or address).rstrip("/") + CALLBACK_ROUTE
    try:
        await services.limits.check_request(key.owner)
        # `return_to` can be the address of this route. With a fragment of its own, though empty, the next address does
        # not inherit the confirmation of another authorization: the authorization server's page could read it.
        return _redirect(f"{await users.connections.begin(key, redirect_uri, page)}#")
    except RateLimited as limited:
        return too_many_requests(limited)
    except AuthorizationError as error:
        logger.warning("Users cannot connect to the MCP server %s: %s", key.server, error)
        return _redirect(f"{page}#{ERROR}={FAILED}")


def _page(request: Request) -> str:
    return f"{request.scope.get('root_path', '').rstrip('/')}/"


def _is_allowed(address: str, origins: Sequence[str]) -> bool:
    """Return whether browsers may be sent to an address, so that links to this server cannot lead anywhere else."""
    if not address.isascii() or not address.isprintable() or "\\" in address or " " in address or "#" in address:
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    if not parts.scheme and not parts.netloc:
        return address.startswith("/") and not address.startswith("//")
    return f"{parts.scheme}://{parts.netloc}" in origins


def _redirect(address: str) -> Response:
    return RedirectResponse(address, 303, HEADERS)
