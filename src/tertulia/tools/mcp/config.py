"""The file of MCP servers, the streams to and from one, and what they may be sent."""

import json
import os
import re
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
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
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tertulia.json import Json, clean, loads
from tertulia.tools.base import ToolError
from tertulia.tools.mcp.results import Listing, repair

SERVER_NAME = r"[a-zA-Z0-9_-]{1,50}"
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
EXPANDED = ("command", "args", "env", "url", "headers")
HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
HEADER_VALUE = r"[\t\x20-\x7e]*"
KINDS = ("stdio", "http", "streamable-http")
CONNECT_TIMEOUT, WRITE_TIMEOUT = 10.0, 30.0
KEPT_ALIVE = 2.0
"""Seconds for which an idle connection is used again: servers close them after five, and a race costs the session."""

Item = SessionMessage | Exception


class _Server(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    disabled: bool = False


class StdioServer(_Server):
    """A program that is started here, and spoken with over its standard input and output."""

    type: Literal["stdio"] = "stdio"
    command: str = Field(min_length=1, repr=False)
    args: list[str] = Field(default=[], repr=False)
    env: dict[str, str] = Field(default={}, repr=False)
    cwd: str | None = None


class HttpServer(_Server):
    """A server that is reached over streamable HTTP."""

    type: Literal["http", "streamable-http"] = "http"
    url: str = Field(repr=False)
    headers: dict[str, str] = Field(default={}, repr=False)

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("It must be an address that begins with http:// or https://")
        return url

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not re.fullmatch(HEADER_NAME, name) or not re.fullmatch(HEADER_VALUE, value):
                raise ValueError(f"HTTP cannot carry the header {name!r}")
        return headers


ServerConfig = StdioServer | HttpServer


class _File(BaseModel):
    servers: dict[str, dict[str, Any]] = Field(alias="mcpServers")


def read_config(path: Path) -> dict[str, ServerConfig]:
    """Read a file of MCP servers, in its usual form, without those that are disabled.

    `${NAME}` and `${NAME:-default}` stand for variables of the environment. Raises ValueError for what is wrong.
    """
    try:
        given = _File.model_validate(clean(loads(path.read_bytes())))
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise ValueError(_first(error)) from None
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}") from error
    enabled = {name: server for name, server in given.servers.items() if server.get("disabled") is not True}
    return {name: _server(name, server) for name, server in enabled.items()}


def _server(name: str, given: dict[str, Any]) -> ServerConfig:
    where = f'MCP server "{name}"'
    if not re.fullmatch(SERVER_NAME, name):
        raise ValueError(f"{where}: its name must be 1 to 50 letters, digits, _ and -")
    given = {key: value for key, value in given.items() if value is not None}
    kind = given.get("type", "stdio" if "command" in given else "http")
    if kind not in KINDS:
        raise ValueError(f'{where}: type: streamable HTTP ("http") or "stdio" is needed; no other transport is spoken')
    if ("command" in given) == ("url" in given):
        raise ValueError(f"{where}: one of command and url is needed, and not both")
    needed = "command" if kind == "stdio" else "url"
    if needed not in given:
        raise ValueError(f'{where}: type: a server of the type "{kind}" has a {needed}')
    values = {key: _expanded(value, f"{where}: {key}") if key in EXPANDED else value for key, value in given.items()}
    try:
        return (StdioServer if kind == "stdio" else HttpServer).model_validate(values)
    except ValidationError as error:
        raise ValueError(f"{where}: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ")
    return f"{place}: {said}" if place else said


def _expanded(value: Any, where: str) -> Any:
    def variable(found: re.Match[str]) -> str:
        name, default = found.groups()
        value = os.environ.get(name)
        if default is not None:
            return value or default
        if value is None:
            raise ValueError(f"{where}: the environment has no {name}")
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
    """What is seen of a connection below the protocol: that it ended, and the status of HTTP that was a failure."""

    def __init__(self, ended: Callable[[], None]) -> None:
        """Take what is told of the end, at once."""
        self.is_over = False
        self.status: int | None = None
        self.listing = Listing()
        self._ended = ended

    def end(self) -> None:
        """Note that nothing more is said."""
        self.is_over = True
        self._ended()

    async def see(self, response: httpx2.Response) -> None:
        """Look at an answer of HTTP."""
        if response.request.method == "POST":
            self.status = response.status_code if response.is_error else None


class _Watched(ObjectReceiveStream[Item]):
    """What a server says. The SDK tells nobody of the end of it."""

    def __init__(self, inner: Any, watch: ConnectionMonitor) -> None:
        self._inner = inner
        self._watch = watch

    async def receive(self) -> Item:
        try:
            item: Item = await self._inner.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            self._watch.end()
            raise
        if isinstance(item, SessionMessage) and isinstance(item.message, types.JSONRPCResponse):
            repair(item.message.result, self._watch.listing)
        return item

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def open_streams(config: ServerConfig, watch: ConnectionMonitor) -> AsyncGenerator[tuple[_Watched, Any]]:
    """Start a server or reach it; gives what it says and where to answer, as `mcp.Client` takes them."""
    if isinstance(config, StdioServer):
        program = StdioServerParameters(
            command=config.command,
            args=config.args,
            env=config.env,
            cwd=config.cwd,
            # Else a byte that is no UTF-8 leaves the SDK waiting for the end of the program.
            encoding_error_handler="replace",
        )
        # Who is cancelled while a program starts would leave what it started itself.
        with anyio.CancelScope(shield=True) as starting:
            async with stdio_client(program, sys.__stderr__ or sys.stderr) as (said, answers):
                starting.shield = False
                yield _Watched(said, watch), answers
        return
    client = httpx2.AsyncClient(
        headers=config.headers,
        # A result may take as long as its caller lets it; a timeout here would cost the session.
        timeout=httpx2.Timeout(WRITE_TIMEOUT, connect=CONNECT_TIMEOUT, read=None),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=KEPT_ALIVE),
        event_hooks={"response": [watch.see]},
    )
    async with client, streamable_http_client(config.url, http_client=client) as (said, answers):
        yield _Watched(said, watch), answers


def check_input(input: Json) -> None:
    """Refuse what cannot be sent: it would cost all calls their session."""
    # One level deeper than it will stand: the SDK's two ways to write a message may not differ in what they take.
    request = types.JSONRPCRequest(jsonrpc="2.0", id=0, method="tools/call", params={"arguments": [input]})
    try:
        json.dumps(request.model_dump(mode="json"), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise ToolError("The input cannot be sent to an MCP server: it is not valid as JSON.") from None
