"""How the REST routes are authenticated, for OpenAPI and the button "Authorize" of Swagger UI.

The dependencies only describe. The authenticator checks the token.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Security
from fastapi.security import HTTPBearer, OAuth2PasswordBearer
from starlette.requests import Request

from tertulia.server.auth.forms import PASSWORD_SCHEME, TOKEN_SCHEME

Result = TypeVar("Result")
DESCRIPTIONS = {
    "local": "This server has one local user and requires no token (`TERTULIA_AUTH=local`).",
    "password": "An access token, or a personal access token (`tertulia token NAME`).",
    "oidc": "A token of the identity provider.",
    "host": "A token, if the application authenticates its users with tokens.",
}
"""The description of the token, by the mode of authentication."""


def with_security_scheme(
    authenticate: Callable[[Request], Awaitable[Result]], auth: str
) -> Callable[..., Awaitable[Result]]:
    """Return a dependency that authenticates a request, and describes in OpenAPI how its routes are authenticated.

    Args:
        authenticate: Authenticates a request.
        auth: The mode of authentication; `host` for that of an application that embeds the server.
    """
    token = HTTPBearer(auto_error=False, scheme_name=TOKEN_SCHEME, description=DESCRIPTIONS[auth])
    if auth != "password":

        async def with_token(request: Request, _token: Annotated[object, Security(token)]) -> Result:
            return await authenticate(request)

        return with_token
    # Relative to the page, so that it also works under a prefix.
    password = OAuth2PasswordBearer(
        "auth/token", scheme_name=PASSWORD_SCHEME, auto_error=False, refreshUrl="auth/refresh"
    )

    async def with_password(
        request: Request, _token: Annotated[object, Security(token)], _password: Annotated[object, Security(password)]
    ) -> Result:
        return await authenticate(request)

    return with_password
