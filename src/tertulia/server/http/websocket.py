"""GraphQL over WebSocket, to the letter of the `graphql-transport-ws` protocol document.

Source: PROTOCOL.md of the graphql-ws project. Strawberry's handler carries the states; this one checks every message
before it, keeps errors of an operation inside the operation, and pings a silent socket.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from typing import Any, cast

from graphql import GraphQLError
from starlette.websockets import WebSocket, WebSocketDisconnect

from tertulia.db.errors import DATABASE_ERRORS
from tertulia.json import encode
from tertulia.ratelimit.errors import RateLimited
from tertulia.ratelimit.limits import too_many
from tertulia.resolvers.context import Context
from tertulia.schema.document_policy import CheckedDocument as AdmittedDocument
from tertulia.schema.document_policy import DocumentPolicy
from tertulia.schema.documents import Schema, is_subscription, ours
from tertulia.schema.failures import internal_error, show_error
from tertulia.schema.graphql_internals import (
    BaseGraphQLTransportWSHandler,
    SocketMessage,
    SocketOperation,
    WebSocketDisconnected,
)
from tertulia.schema.subscription_fast_path import OperationFailed, follow
from tertulia.server.auth.authenticator import Anonymous, Authenticated, Authenticator
from tertulia.server.auth.providers import Unauthenticated, Unavailable
from tertulia.server.runtime.socket_protocol import SocketProtocol, protocol_of

PING_SECONDS = 15.0
"""Silence that proxies take for a dead socket begins at 20 s in the field."""
STALLED_SECONDS = 30.0
"""How long a client may take to read what it was sent, before it counts as gone."""
FORBIDDEN = 4403
"""Who it was opened by is nobody, or no longer: sign in or refresh, then open another."""
STALLED = 1013
"""Try again later (IANA's registry of close codes)."""
RESULTS_AT_ONCE = 20
"""Results of one operation written before other tasks get a turn: writing the thousands of a replay never waits."""
MAX_REASON = 123
"""Bytes of a close reason (RFC 6455, section 5.5)."""

logger = logging.getLogger("tertulia.socket")


class MalformedMessage(Exception):
    """A message that the protocol does not know; the reason goes into the close frame."""


class SocketHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """One socket."""

    ping_seconds = PING_SECONDS
    _protocol: SocketProtocol | None = None
    _tasks: list[asyncio.Task[None]]
    _seat: AsyncExitStack

    @property
    def _socket(self) -> WebSocket:
        adapter: Any = self.websocket
        socket: WebSocket = adapter.ws
        return socket

    @property
    def _gate(self) -> DocumentPolicy:
        endpoint: Any = self.view
        gate: DocumentPolicy = endpoint.gate
        return gate

    def _write(self, message: bytes) -> bool:
        return self._protocol is not None and self._protocol.write_text(message)

    async def handle(self) -> None:
        """Serve the socket until it closes; its operations end with it."""
        self._protocol = protocol_of(self._socket)
        self._seat = AsyncExitStack()
        self._tasks = [asyncio.create_task(self._keep_pinging())]
        try:
            with suppress(WebSocketDisconnect):
                await super().handle()
        finally:
            for task in self._tasks:
                task.cancel()
            await self._seat.aclose()

    async def handle_message(self, message: Any) -> None:
        """Check a message, then let it act."""
        try:
            checked = check_message(message)
        except MalformedMessage as malformed:
            await self.handle_invalid_message(str(malformed))
            return
        if checked["type"] == "ping":
            await self.send_message(_echo(checked))
        else:
            await super().handle_message(cast("SocketMessage", checked))
        # Receiving a message that has arrived and writing to a buffer with space do not suspend this task: without
        # this, a client that sends thousands of messages at once holds the loop.
        await asyncio.sleep(0)

    async def handle_connection_init(self, message: Any) -> None:
        """Let somebody in by the token in the payload, or else by the header of the handshake."""
        here: Any = self.context
        if isinstance(here, Anonymous):
            try:
                await self._enter(here.authenticator, message["payload"])
            except RateLimited as limited:
                await self.websocket.close(code=STALLED, reason=limited.message[:MAX_REASON])
                return
            except (*DATABASE_ERRORS, Unavailable) as error:
                logger.warning("A socket cannot be opened for now: %s", error)
                await self.websocket.close(code=STALLED, reason="Try again later")
                return
        await super().handle_connection_init(message)

    async def _enter(self, authenticator: Authenticator, payload: dict[str, Any]) -> None:
        with suppress(Unauthenticated):  # then the context stays nobody's, and Strawberry closes with 4403
            self._socket.state.connection_init = payload
            admitted = await authenticator.admit(self._socket, _token(payload))
            limits = admitted.context.services.limits
            await self._seat.enter_async_context(limits.seated(admitted.context.viewer.user_id))
            self.context = admitted.context
            if admitted.identity.revocable:
                self._tasks.append(asyncio.create_task(self._leave_when(admitted)))

    async def handle_invalid_message(self, error_message: str) -> None:
        """Close with 4400 and a reason that fits into the frame."""
        reason = error_message.encode(errors="replace")[:MAX_REASON].decode(errors="ignore")
        await self.websocket.close(code=4400, reason=reason)

    async def handle_subscribe(self, message: Any) -> None:
        """Start an operation; reasons that bear its id are cut to fit."""
        if not self.connection_acknowledged:
            await super().handle_subscribe(message)  # which closes with 4401
            return
        if message["id"] in self.operations:
            shown = message["id"].encode(errors="replace")[: MAX_REASON - 40].decode(errors="ignore")
            await self.websocket.close(code=4409, reason=f"Subscriber for {shown} already exists")
            return
        per_socket = self.context.services.subscriptions.per_socket
        if len(self.operations) >= per_socket:
            error = too_many(f"A socket carries at most {per_socket:,} operations at once; complete one first.")
            await self.send_message({"id": message["id"], "type": "error", "payload": [error.formatted]})
            return
        payload = message["payload"]
        try:
            await self.context.services.limits.check_request(self.context.viewer.user_id)
            text = self._gate.document(payload.get("query"), payload.get("extensions"), payload.get("documentId"))
        except (GraphQLError, RateLimited) as found:
            error = too_many(found.message) if isinstance(found, RateLimited) else found
            await self.send_message({"id": message["id"], "type": "error", "payload": [error.formatted]})
            return
        payload["query"] = text
        await super().handle_subscribe(message)

    async def run_operation(self, operation: SocketOperation[Context, None]) -> None:
        """Run one operation; whatever goes wrong in it is its own `error` message, and the socket stays."""
        schema = ours(self.schema)
        try:
            document = await self._gate.admit(operation.query, operation.variables, operation.operation_name)
            if is_subscription(document.operation):
                await self._follow(operation, schema, document)
            else:
                await self._answer(operation, schema, document)
        except WebSocketDisconnected:
            return
        except GraphQLError as error:
            await self._fail(operation, [error])
        except OperationFailed as failed:
            await self._fail(operation, failed.errors)

    async def _follow(
        self, operation: SocketOperation[Context, None], schema: Schema, document: AdmittedDocument
    ) -> None:
        begin = b'{"id":%b,"type":"next","payload":' % encode(operation.id)
        asked = schema.operation(document.prepared, operation.variables, operation.operation_name, self.context)

        def send(result: bytes) -> bool:
            return self._write(b"%b%b}" % (begin, result))

        written = 0
        async with aclosing(follow(asked, send)) as results:
            async for result in results:
                await self._send(b"%b%b}" % (begin, result))
                # Many sockets hear nothing for long; each would keep what it sent last.
                del result
                written += 1
                if written % RESULTS_AT_ONCE == 0:
                    await asyncio.sleep(0)
        await operation.send_operation_message({"id": operation.id, "type": "complete"})

    async def _answer(
        self, operation: SocketOperation[Context, None], schema: Schema, document: AdmittedDocument
    ) -> None:
        result = await schema.answer(document.prepared, operation.variables, operation.operation_name, self.context)
        if result.data is None and all(error.path is None for error in result.errors or ()):
            # Errors of the whole request: nothing was executed, so there is no result that `next` could bear.
            await operation.send_initial_errors(result.errors or [])
            return
        await operation.send_next(result)
        await operation.send_operation_message({"id": operation.id, "type": "complete"})

    async def _fail(self, operation: SocketOperation[Context, None], errors: Sequence[GraphQLError]) -> None:
        with suppress(WebSocketDisconnected, RuntimeError):
            await operation.send_initial_errors([show_error(error) for error in errors])

    async def handle_task_exception(self, error: Exception) -> None:
        """Log a fault of ours; a socket that went away is none."""
        if not isinstance(error, WebSocketDisconnected):
            internal_error(error)

    async def send_message(self, message: Any) -> None:
        """Send a message."""
        await self._send(encode(message))

    async def _send(self, message: bytes) -> None:
        """Send; a socket that was closed in the meantime, or whose client reads nothing, counts as gone."""
        if self._write(message):
            return
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                await self._socket.send_text(message.decode())
        except TimeoutError as error:
            with suppress(TimeoutError, RuntimeError):
                async with asyncio.timeout(1):
                    await self.websocket.close(code=STALLED, reason="Nothing was read for too long")
            raise WebSocketDisconnected from error
        except (RuntimeError, WebSocketDisconnect) as error:
            raise WebSocketDisconnected from error

    async def _leave_when(self, admitted: Authenticated) -> None:
        await admitted.lapsed()
        with suppress(RuntimeError, WebSocketDisconnect):
            await self.websocket.close(code=FORBIDDEN, reason="Forbidden")

    async def _keep_pinging(self) -> None:
        with suppress(WebSocketDisconnected, WebSocketDisconnect):
            while True:
                await asyncio.sleep(self.ping_seconds)
                if self.connection_acknowledged:
                    await self.send_message({"type": "ping"})


def check_message(message: object) -> dict[str, Any]:
    """Give a message of the protocol back, or raise MalformedMessage."""
    if not isinstance(message, dict):
        raise MalformedMessage("A message must be a JSON object")
    given = cast("dict[str, Any]", message)
    kind = given.get("type")
    if kind in ("connection_init", "ping", "pong"):
        if not isinstance(given.get("payload"), dict | None):
            raise MalformedMessage(f"{kind}: payload must be an object")
        return {**given, "payload": given.get("payload") or {}} if kind == "connection_init" else given
    if kind not in ("subscribe", "complete"):
        raise MalformedMessage(f"Unknown message type: {str(kind)[:60]}")
    if not isinstance(given.get("id"), str) or not given["id"]:
        raise MalformedMessage(f"{kind}: id must be a text that is not empty")
    if kind == "subscribe":
        _check_payload(given.get("payload"))
    return given


def _token(payload: dict[str, Any]) -> str | None:
    """Give the payload's `Authorization`, however the name is written; `token` alone is none."""
    found = next((value for name, value in payload.items() if name.lower() == "authorization"), None)
    return found if isinstance(found, str) else None


def _check_payload(payload: object) -> None:
    if not isinstance(payload, dict):
        raise MalformedMessage("subscribe: payload must be an object")
    given = cast("dict[str, Any]", payload)
    if not isinstance(given.get("query"), str) and not _is_known(given):
        raise MalformedMessage("subscribe: payload.query must be a text")
    if not isinstance(given.get("operationName"), str | None):
        raise MalformedMessage("subscribe: payload.operationName must be a text")
    for name in ("variables", "extensions"):
        if not isinstance(given.get(name), dict | None):
            raise MalformedMessage(f"subscribe: payload.{name} must be an object")


def _is_known(payload: dict[str, Any]) -> bool:
    """Say whether a document is named that the server may have."""
    if payload.get("query") is not None:
        return False
    extensions = payload.get("extensions")
    return "documentId" in payload or (isinstance(extensions, dict) and "persistedQuery" in extensions)


def _echo(ping: dict[str, Any]) -> dict[str, Any]:
    return {"type": "pong", "payload": ping["payload"]} if ping.get("payload") is not None else {"type": "pong"}
