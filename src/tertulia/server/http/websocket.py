"""GraphQL over WebSocket: the `graphql-transport-ws` protocol.

Source: PROTOCOL.md of the graphql-ws project. Strawberry's handler implements the states; this one validates every
message first, sends errors of an operation as its `error` message, and pings a silent socket.
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
from tertulia.schema.documents import Schema, is_subscription, narrow_schema
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
"""Shorter than the shortest idle timeout of proxies in use, 20 s."""
STALLED_SECONDS = 30.0
"""Seconds that a client may leave messages unread before it counts as disconnected."""
FORBIDDEN = 4403
"""The client is not authenticated, or its authentication has ended: it must sign in again or refresh its token."""
STALLED = 1013
"""Try again later (IANA's registry of close codes)."""
RESULTS_AT_ONCE = 20
"""Results of one operation written before other tasks get a turn: writing replayed events never suspends by itself."""
MAX_REASON = 123
"""Bytes of a close reason (RFC 6455, section 5.5)."""

logger = logging.getLogger("tertulia.socket")


class MalformedMessage(Exception):
    """A message that violates the protocol; the reason goes into the close frame."""


class SocketHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """Serves one socket."""

    ping_seconds = PING_SECONDS
    _protocol: SocketProtocol | None = None
    _tasks: list[asyncio.Task[None]]
    _slot_stack: AsyncExitStack

    @property
    def _socket(self) -> WebSocket:
        adapter: Any = self.websocket
        socket: WebSocket = adapter.ws
        return socket

    @property
    def _document_policy(self) -> DocumentPolicy:
        endpoint: Any = self.view
        document_policy: DocumentPolicy = endpoint.document_policy
        return document_policy

    def _write(self, message: bytes) -> bool:
        return self._protocol is not None and self._protocol.write_text(message)

    async def handle(self) -> None:
        """Serve the socket until it closes, which ends its operations."""
        self._protocol = protocol_of(self._socket)
        self._slot_stack = AsyncExitStack()
        self._tasks = [asyncio.create_task(self._keep_pinging())]
        try:
            with suppress(WebSocketDisconnect):
                await super().handle()
        finally:
            for task in self._tasks:
                task.cancel()
            await self._slot_stack.aclose()

    async def handle_message(self, message: Any) -> None:
        """Validate a message, then handle it."""
        try:
            checked = check_message(message)
        except MalformedMessage as malformed:
            await self.handle_invalid_message(str(malformed))
            return
        if checked["type"] == "ping":
            await self.send_message(_echo(checked))
        else:
            await super().handle_message(cast("SocketMessage", checked))
        # Receiving an available message and writing to a buffer with space do not suspend this task: without
        # this, a client that sends thousands of messages at once would block the loop.
        await asyncio.sleep(0)

    async def handle_connection_init(self, message: Any) -> None:
        """Authenticate the client by the token in the payload or, without one, in the header of the handshake."""
        context: Any = self.context
        if isinstance(context, Anonymous):
            try:
                await self._authenticate(context.authenticator, message["payload"])
            except RateLimited as limited:
                await self.websocket.close(code=STALLED, reason=limited.message[:MAX_REASON])
                return
            except (*DATABASE_ERRORS, Unavailable) as error:
                logger.warning(
                    "A socket was closed with %d, because its client could not be authenticated: %s", STALLED, error
                )
                await self.websocket.close(code=STALLED, reason="Try again later")
                return
        await super().handle_connection_init(message)

    async def _authenticate(self, authenticator: Authenticator, payload: dict[str, Any]) -> None:
        with suppress(Unauthenticated):  # then the context stays anonymous, and Strawberry closes with 4403
            self._socket.state.connection_init = payload
            admitted = await authenticator.admit(self._socket, _token(payload))
            context = admitted.context
            await self._slot_stack.enter_async_context(context.limits.connection_slot(context.viewer.user_id))
            self.context = admitted.context
            if admitted.identity.revocable:
                self._tasks.append(asyncio.create_task(self._close_when_lapsed(admitted)))

    async def handle_invalid_message(self, error_message: str) -> None:
        """Close with 4400, and a reason that is cut to the size of the frame."""
        reason = error_message.encode(errors="replace")[:MAX_REASON].decode(errors="ignore")
        await self.websocket.close(code=4400, reason=reason)

    async def handle_subscribe(self, message: Any) -> None:
        """Start an operation. Close reasons with its id are cut to the size of the frame."""
        if not self.connection_acknowledged:
            await super().handle_subscribe(message)  # which closes with 4401
            return
        if message["id"] in self.operations:
            operation_id = message["id"].encode(errors="replace")[: MAX_REASON - 40].decode(errors="ignore")
            await self.websocket.close(code=4409, reason=f"Subscriber for {operation_id} already exists")
            return
        per_socket = self.context.services.subscriptions.per_socket
        if len(self.operations) >= per_socket:
            error = too_many(f"A socket can run at most {per_socket:,} operations at once: complete one first.")
            await self.send_message({"id": message["id"], "type": "error", "payload": [error.formatted]})
            return
        payload = message["payload"]
        try:
            await self.context.limits.check_request(self.context.viewer.user_id)
            text = self._document_policy.document(
                payload.get("query"), payload.get("extensions"), payload.get("documentId")
            )
        except (GraphQLError, RateLimited) as refusal:
            error = too_many(refusal.message) if isinstance(refusal, RateLimited) else refusal
            await self.send_message({"id": message["id"], "type": "error", "payload": [error.formatted]})
            return
        payload["query"] = text
        await super().handle_subscribe(message)

    async def run_operation(self, operation: SocketOperation[Context, None]) -> None:
        """Run one operation. Its failures become its `error` message, and the socket stays open."""
        schema = narrow_schema(self.schema)
        try:
            document = await self._document_policy.admit(operation.query, operation.variables, operation.operation_name)
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
        prefix = b'{"id":%b,"type":"next","payload":' % encode(operation.id)
        prepared = schema.operation(document.prepared, operation.variables, operation.operation_name, self.context)

        def send(result: bytes) -> bool:
            return self._write(b"%b%b}" % (prefix, result))

        sent_count = 0
        async with aclosing(follow(prepared, send)) as results:
            async for result in results:
                await self._send(b"%b%b}" % (prefix, result))
                # Many sockets are silent for a long time, and each would keep its last result in memory.
                del result
                sent_count += 1
                if sent_count % RESULTS_AT_ONCE == 0:
                    await asyncio.sleep(0)
        await operation.send_operation_message({"id": operation.id, "type": "complete"})

    async def _answer(
        self, operation: SocketOperation[Context, None], schema: Schema, document: AdmittedDocument
    ) -> None:
        result = await schema.answer(document.prepared, operation.variables, operation.operation_name, self.context)
        if result.data is None and all(error.path is None for error in result.errors or ()):
            # Errors of the whole request: nothing was executed, so there is no result for a `next` message.
            await operation.send_initial_errors(result.errors or [])
            return
        await operation.send_next(result)
        await operation.send_operation_message({"id": operation.id, "type": "complete"})

    async def _fail(self, operation: SocketOperation[Context, None], errors: Sequence[GraphQLError]) -> None:
        with suppress(WebSocketDisconnected, RuntimeError):
            await operation.send_initial_errors([show_error(error) for error in errors])

    async def handle_task_exception(self, error: Exception) -> None:
        """Log an exception as an internal error, unless the client has disconnected."""
        if not isinstance(error, WebSocketDisconnected):
            internal_error(error)

    async def send_message(self, message: Any) -> None:
        """Send a message."""
        await self._send(encode(message))

    async def _send(self, message: bytes) -> None:
        """Send a message; raise WebSocketDisconnected if the socket is closed or its client reads nothing."""
        if self._write(message):
            return
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                await self._socket.send_text(message.decode())
        except TimeoutError as error:
            with suppress(TimeoutError, RuntimeError):
                async with asyncio.timeout(1):
                    await self.websocket.close(code=STALLED, reason="The client read nothing for too long")
            raise WebSocketDisconnected from error
        except (RuntimeError, WebSocketDisconnect) as error:
            raise WebSocketDisconnected from error

    async def _close_when_lapsed(self, admitted: Authenticated) -> None:
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
    """Return a message of the types that the protocol requires; raise MalformedMessage for any other."""
    if not isinstance(message, dict):
        raise MalformedMessage("The message must be a JSON object")
    fields = cast("dict[str, Any]", message)
    kind = fields.get("type")
    if kind in ("connection_init", "ping", "pong"):
        if not isinstance(fields.get("payload"), dict | None):
            raise MalformedMessage(f"`payload` of {kind} must be an object")
        return {**fields, "payload": fields.get("payload") or {}} if kind == "connection_init" else fields
    if kind not in ("subscribe", "complete"):
        raise MalformedMessage(f"Unknown message type: {str(kind)[:60]}")
    if not isinstance(fields.get("id"), str) or not fields["id"]:
        raise MalformedMessage(f"`id` of {kind} must be a string that is not empty")
    if kind == "subscribe":
        _check_payload(fields.get("payload"))
    return fields


def _token(payload: dict[str, Any]) -> str | None:
    """Return the payload's `Authorization`, whose name may be in any case. A field `token` is ignored."""
    authorization = next((value for name, value in payload.items() if name.lower() == "authorization"), None)
    return authorization if isinstance(authorization, str) else None


def _check_payload(payload: object) -> None:
    if not isinstance(payload, dict):
        raise MalformedMessage("`payload` of subscribe must be an object")
    fields = cast("dict[str, Any]", payload)
    if not isinstance(fields.get("query"), str) and not _names_document(fields):
        raise MalformedMessage("`payload.query` of subscribe must be a string")
    if not isinstance(fields.get("operationName"), str | None):
        raise MalformedMessage("`payload.operationName` of subscribe must be a string")
    for name in ("variables", "extensions"):
        if not isinstance(fields.get(name), dict | None):
            raise MalformedMessage(f"`payload.{name}` of subscribe must be an object")


def _names_document(payload: dict[str, Any]) -> bool:
    """Return whether the payload names a persisted document instead of a query."""
    if payload.get("query") is not None:
        return False
    extensions = payload.get("extensions")
    return "documentId" in payload or (isinstance(extensions, dict) and "persistedQuery" in extensions)


def _echo(ping: dict[str, Any]) -> dict[str, Any]:
    return {"type": "pong", "payload": ping["payload"]} if ping.get("payload") is not None else {"type": "pong"}
