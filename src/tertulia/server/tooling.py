"""Open the tools that the operator configures: Python modules, MCP servers and Claude's own tools."""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tertulia.db.database import Database
from tertulia.server.environment import WrongSetting
from tertulia.server.hooking import add_working_directory
from tertulia.server.secret_keys import encryption_keys
from tertulia.server.settings import Settings, database_file
from tertulia.tools.execution import Bounds
from tertulia.tools.functions import FunctionTool, load
from tertulia.tools.mcp.servers import McpServers
from tertulia.tools.memory import MemoryTool
from tertulia.tools.registry import CLAUDES_OWN, ToolRegistry

if TYPE_CHECKING:
    from tertulia.tools.mcp.config import ServerConfig
    from tertulia.tools.mcp.oauth.users import UserServers

OAUTH_REQUIRES = "is required for MCP servers with OAuth"


def open_tool_registry(
    settings: Settings, database: Database | None = None, *, many_users: bool | None = None
) -> tuple[ToolRegistry, McpServers]:
    """Return the tool registry and its MCP servers, which are not started.

    Args:
        settings: The settings of the server.
        database: The database with the memory of assistants and the connections of users; None if no tool will run.
        many_users: Whether the server has several users; None if `TERTULIA_AUTH` decides.

    Raises:
        WrongSetting: A tool cannot be imported, two tools have the same name, or the file of MCP servers is invalid.
    """

    def changed() -> None:
        tool_registry.warn_of_cost()

    requires_approval = _requires_approval(settings.ask_first)
    configs = _configs(settings)
    shared = {name: config for name, config in configs.items() if getattr(config, "auth", None) is None}
    users = None
    if len(shared) < len(configs):
        _check_oauth(settings, many_users=settings.auth != "local" if many_users is None else many_users)
        if database is not None:
            users = _user_servers(settings, database, configs, requires_approval)
    servers = McpServers(shared, requires_approval=requires_approval, changed=changed, users=users)
    own = [tool for tool in settings.tools if isinstance(tool, str) and tool in CLAUDES_OWN]
    functions = _functions([tool for tool in settings.tools if tool not in own])
    try:
        tool_registry = ToolRegistry(
            functions,
            server_tools=own,
            mcp_tools=lambda: servers.tools,
            user_tools=None if users is None else users.tools,
            approval_patterns=settings.ask_first,
            search_percent=settings.tool_search_percent,
            web=settings.web_tools,
            memory_of=None if database is None else partial(MemoryTool, database),
        )
    except ValueError as error:
        raise WrongSetting(f"TERTULIA_TOOLS: {error}.") from None
    return tool_registry, servers


def servers_with_oauth(settings: Settings) -> list[str]:
    """Return the names of the MCP servers to which each user connects."""
    return sorted(name for name, config in _configs(settings).items() if getattr(config, "auth", None) is not None)


def bounds_of(settings: Settings) -> Bounds:
    """Return the limits of tool calls."""
    return Bounds(
        seconds=settings.tool_seconds,
        waiting_seconds=settings.tool_results_seconds,
        result_bytes=settings.tool_result_bytes,
        calls=settings.tool_calls,
        rounds=settings.tool_rounds,
    )


def _functions(sources: Sequence[str | Callable[..., Any]]) -> list[FunctionTool]:
    if any(isinstance(source, str) for source in sources):
        add_working_directory()
    try:
        loaded = (load(source) if isinstance(source, str) else [FunctionTool(source)] for source in sources)
        return [tool for tools in loaded for tool in tools]
    except ValueError as error:
        own = ", ".join(CLAUDES_OWN)
        raise WrongSetting(f"TERTULIA_TOOLS: {error}; must be Python modules, MODULE:FUNCTION, {own}.") from None


def _configs(settings: Settings) -> "dict[str, ServerConfig]":
    if settings.mcp_config is None:
        return {}
    from tertulia.tools.mcp.config import read_config

    try:
        return read_config(Path(settings.mcp_config))
    except (OSError, ValueError) as error:
        raise WrongSetting(f"TERTULIA_MCP_CONFIG: {settings.mcp_config}: {error}") from None


def _check_oauth(settings: Settings, *, many_users: bool) -> None:
    """Raise WrongSetting if a setting that MCP servers with OAuth require is missing."""
    if settings.public_url is None and many_users:
        raise WrongSetting(f"TERTULIA_PUBLIC_URL: {OAUTH_REQUIRES}, such as https://chat.example.com.")
    has_key = settings.encryption_key is not None or settings.secret_key is not None
    if not has_key and database_file(settings.database_url) is None:
        raise WrongSetting(f"TERTULIA_ENCRYPTION_KEY: {OAUTH_REQUIRES}, because TERTULIA_SECRET_KEY is not set.")


def _user_servers(
    settings: Settings,
    database: Database,
    configs: "Mapping[str, ServerConfig]",
    requires_approval: Callable[[str], bool],
) -> "UserServers":
    from tertulia.tools.mcp.config import HttpServer
    from tertulia.tools.mcp.oauth.encryption import Encryption
    from tertulia.tools.mcp.oauth.users import UserServers

    encryption = Encryption(encryption_keys(settings))
    servers = {
        name: config for name, config in configs.items() if isinstance(config, HttpServer) and config.auth is not None
    }
    return UserServers(
        database, encryption, servers, public_url=settings.public_url, requires_approval=requires_approval
    )


def _requires_approval(patterns: Sequence[str]) -> Callable[[str], bool]:
    return lambda name: any(fnmatchcase(name, pattern) for pattern in patterns)
