"""MCP servers, and the viewer's connections to those with OAuth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

from tertulia.resolvers.arguments import argument
from tertulia.resolvers.context import Context, Info
from tertulia.resolvers.errors import InvalidInput
from tertulia.tools.mcp.servers import McpServer

if TYPE_CHECKING:
    from tertulia.tools.mcp.oauth.users import UserServers

AUTHORIZE_ROUTE = "/tools/oauth/authorize"
"""The route that begins an authorization, with a ticket."""
LONGEST_CONFIRMATION = 100
"""The maximum length in characters. No confirmation is as long, so longer texts are not looked up."""


@dataclass(frozen=True, slots=True)
class ToolServerPayload:
    """The server whose connection has changed."""

    tool_server: McpServer


async def tool_servers(info: Info) -> Sequence[McpServer]:
    """The MCP servers whose tools this server offers, by name."""
    context, mcp = info.context, info.context.services.mcp
    if mcp.users is None:
        return mcp.servers
    async with context.read() as session:
        own = await mcp.users.of(session, context.viewer.user_id)
    return sorted([*mcp.servers, *own], key=lambda server: server.name)


def authorize_url(root: McpServer, info: Info) -> str | None:
    """The path on this server at which the viewer can connect to the MCP server. Null if nothing must be authorized.

    Open it in a browser, within ten minutes. With the query parameter `return_to`, the browser returns to this address
    afterwards: a path on this server, or an address at an origin of `TERTULIA_CORS_ORIGINS`. Its fragment then is
    `#tool-connection=CONFIRMATION`, for `connectToolServer`, or `#tool-connection-error=CODE`: `denied`, `expired` or
    `failed`.
    """
    users = info.context.services.mcp.users
    if users is None or not root.needs_authorization:
        return None
    from tertulia.tools.mcp.oauth.connections import ConnectionKey

    ticket = users.connections.ticket(ConnectionKey(info.context.viewer.user_id, root.name))
    return f"{info.context.path(AUTHORIZE_ROUTE)}?{urlencode({'ticket': ticket})}"


async def connect_tool_server(
    info: Info,
    confirmation: Annotated[
        str, argument("The secret in the fragment of the address to which the browser returned. It works once.")
    ],
) -> ToolServerPayload:
    """Finish the connection to an MCP server, after the viewer has authorized it at `ToolServer.authorizeUrl`.

    - `InvalidInput`: The confirmation is unknown, was used before, has expired after five minutes, or is for another
      viewer; or the authorization server refused the authorization.
    """
    from tertulia.tools.mcp.oauth.requests import AuthorizationError

    context, users = info.context, _users(info.context, "confirmation")
    try:
        valid = confirmation if len(confirmation) <= LONGEST_CONFIRMATION else ""
        name = await users.confirm(context.viewer.user_id, valid)
    except AuthorizationError as error:
        raise InvalidInput("confirmation", f"was not accepted. {error}") from None
    if name is None:
        raise InvalidInput("confirmation", "is not valid: it was used before, has expired, or is for another user.")
    return await _payload(context, users, name)


async def disconnect_tool_server(
    info: Info, name: Annotated[str, argument("The name of the MCP server.")]
) -> ToolServerPayload:
    """Delete the viewer's connection to an MCP server, and revoke its tokens. Without a connection, nothing changes.

    - `InvalidInput`: No MCP server with this name requires an authorization.
    """
    from tertulia.tools.mcp.oauth.connections import ConnectionKey

    context, users = info.context, _users(info.context, "name")
    if name not in users.connections.servers:
        raise InvalidInput("name", "must be the name of an MCP server to which users connect.")
    await users.disconnect(ConnectionKey(context.viewer.user_id, name))
    return await _payload(context, users, name)


async def _payload(context: Context, users: "UserServers", name: str) -> ToolServerPayload:
    async with context.read() as session:
        servers = await users.of(session, context.viewer.user_id)
    return ToolServerPayload(next(server for server in servers if server.name == name))


def _users(context: Context, field: str) -> "UserServers":
    if context.services.mcp.users is None:
        raise InvalidInput(field, "is not accepted, because this server has no MCP servers to which users connect.")
    return context.services.mcp.users
