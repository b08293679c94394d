"""The configuration file of MCP servers, and the message streams of a server."""

import json
import os
import re
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import anyio
import httpx2
from anyio.abc import ObjectReceiveStream
from mcp import types
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tertulia.json import Json, clean, loads
from tertulia.tools.base import DEFAULT_OPTIONS, ToolError, ToolOptions
from tertulia.tools.mcp.results import Listing, repair

SERVER_NAME = r"[a-zA-Z0-9_-]{1,50}"
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
EXPANDED = ("command", "args", "env", "url", "headers", "clientId", "clientSecret", "scopes")
HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
HEADER_VALUE = r"[\t\x20-\x7e]*"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
KINDS = ("stdio", "http", "streamable-http")
CONNECT_TIMEOUT, WRITE_TIMEOUT = 10.0, 30.0
KEEPALIVE_SECONDS = 2.0
"""The seconds for which idle connections are reused. Servers close them after 5 seconds, and a race with that would
end the session."""

Item = SessionMessage | Exception


class DefinitionOptions(BaseModel):
    """The options of definitions that `toolOptions` sets for the tools whose names match a pattern."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    strict: bool = False
    deferred: bool | None = None
    eager_input_streaming: bool | None = Field(default=None, alias="eagerInputStreaming")


class _Server(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, validate_by_alias=True, validate_by_name=True)

    disabled: bool = False
    tool_options: dict[str, DefinitionOptions] = Field(default={}, alias="toolOptions")

    def options_of(self, tool: str) -> ToolOptions:
        """Return the options of a tool by its own name: those of the first pattern that matches it."""
        options = next((value for pattern, value in self.tool_options.items() if fnmatchcase(tool, pattern)), None)
        if options is None:
            return DEFAULT_OPTIONS
        eager = options.eager_input_streaming
        return ToolOptions(options.deferred, options.strict, eager_input_streaming=eager)


class StdioServer(_Server):
    """A program that runs on this machine and communicates over standard input and output."""

    type: Literal["stdio"] = "stdio"
    command: str = Field(min_length=1, repr=False)
    args: list[str] = Field(default=[], repr=False)
    env: dict[str, str] = Field(default={}, repr=False)
    cwd: str | None = None


class HttpServer(_Server):
    """A server with an address for streamable HTTP.

    With `auth`, each user connects to it with OAuth (see `tools.mcp.oauth`).
    """

    type: Literal["http", "streamable-http"] = "http"
    url: str = Field(repr=False)
    headers: dict[str, str] = Field(default={}, repr=False)
    auth: Literal["oauth"] | None = None
    client_id: str | None = Field(default=None, alias="clientId", min_length=1)
    client_secret: str | None = Field(default=None, alias="clientSecret", min_length=1, repr=False)
    scopes: list[str] | None = None

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an address that begins with http:// or https://")
        return url

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not re.fullmatch(HEADER_NAME, name) or not re.fullmatch(HEADER_VALUE, value):
                raise ValueError(f"the header {name!r} has a name or value that HTTP does not allow")
        return headers

    @model_validator(mode="after")
    def _can_authorize(self) -> "HttpServer":
        if self.auth is None:
            if self.client_id or self.client_secret or self.scopes is not None:
                raise ValueError('`clientId`, `clientSecret` and `scopes` require `auth: "oauth"`')
            return self
        parts = urlsplit(self.url)
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise ValueError("`url` must be an https address, because users send it their tokens")
        if any(name.lower() == "authorization" for name in self.headers):
            raise ValueError('`headers` must not contain Authorization together with `auth: "oauth"`')
        if self.client_secret is not None and self.client_id is None:
            raise ValueError("`clientSecret` requires `clientId`")
        return self


ServerConfig = StdioServer | HttpServer


class _File(BaseModel):
    servers: dict[str, dict[str, Any]] = Field(alias="mcpServers")


def read_config(path: Path) -> dict[str, ServerConfig]:
    """Return the enabled servers of a configuration file in the usual format, by name.

    `${NAME}` and `${NAME:-default}` are replaced with environment variables.

    Raises:
        ValueError: The file is invalid.
    """
    try:
        file = _File.model_validate(clean(loads(path.read_bytes())))
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise ValueError(_first(error)) from None
    except ValueError as error:
        raise ValueError(f"the file is not JSON: {error}") from error
    enabled = {name: server for name, server in file.servers.items() if server.get("disabled") is not True}
    return {name: _server(name, server) for name, server in enabled.items()}


def _server(name: str, entry: dict[str, Any]) -> ServerConfig:
    where = f'MCP server "{name}"'
    if not re.fullmatch(SERVER_NAME, name):
        raise ValueError(f"{where}: the name must be 1 to 50 letters, digits, _ and -")
    entry = {key: value for key, value in entry.items() if value is not None}
    kind = entry.get("type", "stdio" if "command" in entry else "http")
    if kind not in KINDS:
        raise ValueError(
            f'{where}: `type` must be "http" (streamable HTTP) or "stdio"; no other transport is supported'
        )
    if ("command" in entry) == ("url" in entry):
        raise ValueError(f"{where}: either `command` or `url` is required, but not both")
    needed = "command" if kind == "stdio" else "url"
    if needed not in entry:
        raise ValueError(f'{where}: `{needed}` is required if `type` is "{kind}"')
    values = {key: _expanded(value, f"{where}: {key}") if key in EXPANDED else value for key, value in entry.items()}
    try:
        return (StdioServer if kind == "stdio" else HttpServer).model_validate(values)
    except ValidationError as error:
        raise ValueError(f"{where}: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    location = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"{location}: {message}" if location else message


def _expanded(value: Any, where: str) -> Any:
    def variable(match: re.Match[str]) -> str:
        name, default = match.groups()
        value = os.environ.get(name)
        if default is not None:
            return value or default
        if value is None:
            raise ValueError(f"{where}: the environment variable {name} is not set, and has no default")
        return value

    match value:
        case str():
            return VARIABLE.sub(variable, value)
        case [*parts]:
            return [_expanded(part, where) for part in parts]
        case {**entries}:
            return {name: _expanded(part, where) for name, part in entries.items()}
        case _:
            return value


class ConnectionMonitor:
    """The state of a connection below the protocol: whether it has ended, and the HTTP status of a failure."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        """Initialize. `on_end` is called as soon as the connection ends."""
        self.is_over = False
        self.status: int | None = None
        self.listing = Listing()
        self._on_end = on_end

    def end(self) -> None:
        """Record that the connection has ended."""
        self.is_over = True
        self._on_end()

    async def record_status(self, response: httpx2.Response) -> None:
        """Record the status of an HTTP response."""
        if response.request.method == "POST":
            self.status = response.status_code if response.is_error else None


class _MonitoredStream(ObjectReceiveStream[Item]):
    """The stream of a server's messages, which reports its end: the SDK does not."""

    def __init__(self, inner: Any, monitor: ConnectionMonitor) -> None:
        self._inner = inner
        self._monitor = monitor

    async def receive(self) -> Item:
        try:
            item: Item = await self._inner.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            self._monitor.end()
            raise
        if isinstance(item, SessionMessage) and isinstance(item.message, types.JSONRPCResponse):
            repair(item.message.result, self._monitor.listing)
        return item

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def open_streams(
    config: ServerConfig, monitor: ConnectionMonitor, auth: httpx2.Auth | None = None
) -> AsyncGenerator[tuple[_MonitoredStream, Any]]:
    """Start a program or connect to a server. Yields the streams from and to it, as `mcp.Client` accepts them.

    Args:
        config: The program or the server.
        monitor: Is notified of the state of the connection.
        auth: Authenticates the requests to a server; None for the headers of its configuration.
    """
    if isinstance(config, StdioServer):
        program = StdioServerParameters(
            command=config.command,
            args=config.args,
            env=config.env,
            cwd=config.cwd,
            # Otherwise, after invalid UTF-8, the SDK would wait for the end of the program.
            encoding_error_handler="replace",
        )
        # A cancellation during the start of a program would leave its child processes running.
        with anyio.CancelScope(shield=True) as starting:
            async with stdio_client(program, sys.__stderr__ or sys.stderr) as (messages, answers):
                starting.shield = False
                yield _MonitoredStream(messages, monitor), answers
        return
    client = httpx2.AsyncClient(
        headers=config.headers,
        auth=auth,
        # The caller limits the duration of a call. A timeout here would end the session.
        timeout=httpx2.Timeout(WRITE_TIMEOUT, connect=CONNECT_TIMEOUT, read=None),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=KEEPALIVE_SECONDS),
        event_hooks={"response": [monitor.record_status]},
    )
    async with client, streamable_http_client(config.url, http_client=client) as (messages, answers):
        yield _MonitoredStream(messages, monitor), answers


def check_input(input: Json) -> None:
    """Raise ToolError for input that cannot be sent: sending it would end the session, and with it all calls."""
    # Nested one level deeper than in the request, to be safe: the SDK's two serializers accept different depths.
    request = types.JSONRPCRequest(jsonrpc="2.0", id=0, method="tools/call", params={"arguments": [input]})
    try:
        json.dumps(request.model_dump(mode="json"), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise ToolError("The input cannot be sent to the MCP server, because it is not valid JSON.") from None
