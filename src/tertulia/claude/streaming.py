"""The SDK's call for a streamed response."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tertulia.claude.connections import Connection
from tertulia.claude.providers import Provider
from tertulia.json import Json, encode
from tertulia.threads import offload

if TYPE_CHECKING:
    import httpx2

BETA_PARTS = ("betas", "compaction", "context_management", "fallbacks", "fallback_credit_token")

ENCODED_HERE = (Provider.ANTHROPIC,)
"""The providers for which requests are encoded here. The SDK's clients of the others change the body."""


@asynccontextmanager
async def open_stream(connection: Connection, body: Json, headers: dict[str, str]) -> "AsyncGenerator[httpx2.Response]":
    """Send `POST /v1/messages`, and yield the response when its headers have arrived.

    Args:
        connection: The connection to the provider.
        body: The body, as the provider accepts it; its `betas` are sent as a header.
        headers: Further headers.
    """
    if "betas" in body:
        headers = {**headers, "anthropic-beta": ",".join(body["betas"])}
    if connection.platform.provider in ENCODED_HERE:
        stream = await _send_encoded(connection, body, headers)
        try:
            yield stream.response
        finally:
            await stream.close()
        return
    # The SDK's typed signature does not include beta features.
    arguments = {name: value for name, value in body.items() if name not in BETA_PARTS}
    if "betas" in body:
        arguments["extra_body"] = {name: body[name] for name in BETA_PARTS if name in body and name != "betas"}
    if headers:
        arguments["extra_headers"] = headers
    create: Any = connection.streaming.messages.with_streaming_response.create
    async with create(**arguments, stream=True) as response:
        yield response.http_response


async def _send_encoded(connection: Connection, body: Json, headers: dict[str, str]) -> Any:
    """Send a body that is encoded here: the SDK would copy and encode it in one step of the event loop."""
    import anthropic

    parts = {name: value for name, value in body.items() if name not in ("betas", "messages")} | {"stream": True}
    content = await offload(len(body["messages"]), lambda: _encode(parts, body["messages"]))
    return await connection.streaming.post(
        "/v1/messages",
        cast_to=anthropic.types.Message,
        content=content,
        options={"headers": headers},
        stream=True,
        stream_cls=anthropic.AsyncStream[Any],
    )


def _encode(parts: Json, messages: list[Json]) -> bytes:
    # Message by message, because orjson does not give up the interpreter's lock.
    return b'%s,"messages":[%s]}' % (encode(parts)[:-1], b",".join(map(encode, messages)))
