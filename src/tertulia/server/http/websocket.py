"""GraphQL over WebSocket: the `graphql-transport-ws` protocol.

Source: PROTOCOL.md of the graphql-ws project. Every message is validated first, errors of an operation are sent as its
`error` message, and each socket is pinged.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from json import JSONDecodeError
from typing import Any

from graphql import GraphQLError
from opentelemetry import trace
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from tertulia.db.errors import DATABASE_ERRORS
from tertulia.json import encode, loads
from tertulia.log_lines import log_fields
from tertulia.ratelimit.errors import RateLimited
from tertulia.ratelimit.limits import too_many
from tertulia.resolvers.context import Context
from tertulia.schema.document_policy import DocumentPolicy
from tertulia.schema.documents import is_subscription
from tertulia.schema.failures import internal_error, show_error
from tertulia.schema.results import response
from tertulia.schema.subscription_fast_path import Operation as GraphQLOperation
from tertulia.schema.subscription_fast_path import OperationFailed, follow
from tertulia.server.auth.authenticator import Anonymous, Authenticated, Authenticator
from tertulia.server.auth.providers import Unauthenticated, Unavailable
from tertulia.server.http.operation_facts import Operation, OperationObserver
from tertulia.server.http.socket_messages import MalformedMessage, check_message, pong, token_of
from tertulia.server.http.socket_results import ResultWriter
from tertulia.server.request_facts import RequestFacts, bounded_name
from tertulia.server.runtime.socket_protocol import protocol_of

PROTOCOL = "graphql-transport-ws"
STALLED_SECONDS = 30.0
"""Seconds that a client may leave messages unread before it counts as disconnected."""
FORBIDDEN = 4403
"""The client is not authenticated, or its authentication has ended: it must sign in again or refresh its token."""
STALLED = 1013
"""Try again later (IANA's registry of close codes)."""
RESULTS_AT_ONCE = 20
"""Results of one operation written before other tasks get a turn: writing replayed events never suspends by itself."""
PING, ACKNOWLEDGEMENT = b'{"type":"ping"}', b'{"type":"connection_ack"}'
MAX_REASON = 123
"""Bytes of a close reason (RFC 6455, section 5.5)."""

logger = logging.getLogger("tertulia.socket")


class SocketClosed(Exception):
    """The socket is closed, or its client reads nothing."""


class SocketEndpoint:
    """The ASGI application of all sockets."""

    def __init__(
        self,
        policy: DocumentPolicy,
        authenticator: Callable[[], Authenticator],
        *,
        allows_origin: Callable[[WebSocket], bool],
        init_seconds: float,
        observer: OperationObserver,
    ) -> None:
        """Create the application.

        Args:
            policy: Decides which documents are executed.
            authenticator: Returns the authenticator of the running server.
            allows_origin: Returns whether a page of the socket's origin may open it.
            init_seconds: Seconds within which a new socket must send `connection_init`.
            observer: Logs and counts the operations.
        """
        self._policy = policy
        self._observer = observer
        self._authenticator = authenticator
        self._allows_origin = allows_origin
        self._init_seconds = init_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket until it closes."""
        socket = WebSocket(scope, receive, send)
        protocol = protocol_of(socket)
        if protocol is not None:
            # Middleware wraps both, and would stay in memory.
            socket = WebSocket(scope, protocol.receive, protocol.send)
        if not self._allows_origin(socket):
            await socket.close()  # before the handshake is accepted, so the response is 403
        elif PROTOCOL in scope["subprotocols"]:
            await socket.accept(PROTOCOL)
            context = Anonymous(self._authenticator())
            handler = SocketHandler(socket, context, self._policy, self._observer, self._init_seconds)
            if protocol is None or trace.get_current_span().is_recording():
                # The span of a socket ends when the application returns.
                await handler.handle()
            else:
                protocol.continue_with(handler.handle)
        else:
            await socket.accept()
            await socket.close(4406, "Subprotocol not acceptable")


class SocketHandler:
    """Serves one socket.

    Many sockets are idle for a long time. So an idle socket has one task that reads, one per subscription, and no task
    for its timers.
    """

    __slots__ = (
        "_context",
        "_observer",
        "_operations",
        "_policy",
        "_protocol",
        "_slot_stack",
        "_socket",
        "_tasks",
        "_timer",
    )
    ping_seconds = 15.0
    """Shorter than the shortest idle timeout of proxies in use, 20 s."""

    def __init__(
        self,
        socket: WebSocket,
        context: Anonymous,
        policy: DocumentPolicy,
        observer: OperationObserver,
        init_seconds: float,
    ) -> None:
        """Serve an accepted socket.

        Args:
            socket: The socket.
            context: The context until the client is authenticated.
            policy: Decides which documents are executed.
            observer: Logs and counts the operations.
            init_seconds: Seconds within which the client must send `connection_init`.
        """
        self._socket = socket
        self._context: Context | Anonymous = context
        self._policy = policy
        self._observer = observer
        self._protocol = protocol_of(socket)
        self._operations: dict[str, tuple[Operation, asyncio.Task[None]]] = {}
        self._slot_stack: AsyncExitStack | None = None
        self._tasks = set[asyncio.Task[None]]()
        self._timer = asyncio.get_running_loop().call_later(init_seconds, self._time_out)

    def _write(self, *parts: bytes) -> bool:
        return self._protocol is not None and self._protocol.write_text(*parts)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def handle(self) -> None:
        """Serve the socket until it closes, which ends its operations."""
        try:
            with suppress(WebSocketDisconnect, SocketClosed):
                while self._socket.application_state is not WebSocketState.DISCONNECTED:
                    if not await self._receive():
                        break
                    # Receiving an available message and writing to a buffer with space do not suspend this task:
                    # without this, a client that sends thousands of messages at once would block the loop.
                    await asyncio.sleep(0)
        finally:
            self._timer.cancel()
            operations = [task for _, task in self._operations.values()]
            for task in (*operations, *self._tasks):
                task.cancel()
            for task in operations:
                with suppress(Exception, asyncio.CancelledError):
                    await task
            if self._slot_stack is not None:
                await self._slot_stack.aclose()

    async def _receive(self) -> bool:
        """Receive and handle a message. Returns False if the client has disconnected."""
        event = await self._socket.receive()
        if event["type"] == "websocket.disconnect":
            return False
        text = event.get("text")
        if text is None:
            await self._refuse("WebSocket message type must be text")
        else:
            await self._parse(text)
        return True

    async def _parse(self, text: str) -> None:
        try:
            await self._handle(check_message(loads(text)))
        except JSONDecodeError:
            await self._refuse("WebSocket message must be valid JSON")
        except MalformedMessage as malformed:
            await self._refuse(str(malformed))

    async def _handle(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "connection_init":
                await self._initialize(message["payload"])
            case "ping":
                await self._send(encode(pong(message)))
            case "subscribe":
                await self._subscribe(message)
            case "complete":
                _, task = self._operations.pop(message["id"], (None, None))
                if task is not None:
                    task.cancel()
            case _:
                pass  # a pong

    async def _initialize(self, payload: dict[str, Any]) -> None:
        """Authenticate the client by the token in the payload or, without one, in the header of the handshake."""
        if not isinstance(self._context, Anonymous):
            await self._close(4429, "Too many initialisation requests")
            return
        try:
            await self._authenticate(self._context.authenticator, payload)
        except Unauthenticated:
            await self._close(FORBIDDEN, "Forbidden")
        except RateLimited as limited:
            await self._close(STALLED, limited.message[:MAX_REASON])
        except (*DATABASE_ERRORS, Unavailable) as error:
            logger.warning(
                "A socket was closed with %d, because its client could not be authenticated: %s", STALLED, error
            )
            await self._close(STALLED, "Try again later")
        else:
            self._timer.cancel()
            await self._send(ACKNOWLEDGEMENT)
            self._ping_later()

    async def _authenticate(self, authenticator: Authenticator, payload: dict[str, Any]) -> None:
        self._socket.state.connection_init = payload
        admitted = await authenticator.admit(self._socket, token_of(payload))
        context = admitted.context
        if context.limits.sockets is not None:
            self._slot_stack = AsyncExitStack()
            await self._slot_stack.enter_async_context(context.limits.connection_slot(context.viewer.user_id))
        self._context = context
        if admitted.identity.revocable:
            self._start(self._close_when_lapsed(admitted))

    def _time_out(self) -> None:
        self._start(self._close(4408, "Connection initialisation timeout"))

    async def _close(self, code: int, reason: str) -> None:
        viewer_id = self._context.viewer.user_id if isinstance(self._context, Context) else None
        log_fields(logger, logging.INFO, "Socket closed by the server", code=code, viewer_id=viewer_id)
        with suppress(RuntimeError, WebSocketDisconnect):
            await self._socket.close(code=code, reason=reason)

    async def _refuse(self, reason: str) -> None:
        """Close with 4400, and a reason that is cut to the size of the frame."""
        await self._close(4400, reason.encode(errors="replace")[:MAX_REASON].decode(errors="ignore"))

    async def _subscribe(self, message: dict[str, Any]) -> None:
        """Start an operation. Close reasons with its id are cut to the size of the frame."""
        context, id = self._context, message["id"]
        if isinstance(context, Anonymous):
            await self._close(4401, "Unauthorized")
            return
        if id in self._operations:
            shown_id = id.encode(errors="replace")[: MAX_REASON - 40].decode(errors="ignore")
            await self._close(4409, f"Subscriber for {shown_id} already exists")
            return
        payload = message["payload"]
        facts = RequestFacts(context.viewer.user_id, bounded_name(payload.get("operationName")))
        per_socket = context.services.subscriptions.per_socket
        if len(self._operations) >= per_socket:
            await self._refuse_operation(
                id, facts, too_many(f"A socket can run at most {per_socket:,} operations at once: complete one first.")
            )
            return
        try:
            await context.limits.check_request(context.viewer.user_id)
            text = self._policy.document(payload.get("query"), payload.get("extensions"), payload.get("documentId"))
        except (GraphQLError, RateLimited) as refusal:
            error = too_many(refusal.message) if isinstance(refusal, RateLimited) else refusal
            await self._refuse_operation(id, facts, error)
            return
        operation = Operation(id, text, payload.get("variables"), payload.get("operationName"), facts)
        self._operations[id] = operation, asyncio.create_task(self._observed(operation, context))

    async def _refuse_operation(self, id: str, facts: RequestFacts, error: GraphQLError) -> None:
        facts.note_errors([error.formatted])
        self._observer.end(facts, 0.0, is_cancelled=False)
        await self._send_errors(id, [error])

    async def _observed(self, operation: Operation, context: Context) -> None:
        """Run one operation, then log and count it. An operation that its client ends is `cancelled`."""
        is_cancelled = True
        try:
            is_cancelled = not await self._run(operation, context)
        finally:
            self._observer.end(operation.facts, operation.elapsed(), is_cancelled=is_cancelled)

    async def _run(self, operation: Operation, context: Context) -> bool:
        """Run one operation. Its failures become its `error` message, and the socket stays open.

        Returns:
            False if the socket was closed before the operation had ended.
        """
        errors: Sequence[GraphQLError] = ()
        try:
            schema = self._policy.schema
            document = await self._policy.admit(operation.query, operation.variables, operation.name)
            self._observer.begin(operation.facts, document)
            if is_subscription(document.operation):
                prepared = schema.operation(document.prepared, operation.variables, operation.name, context)
                operation.query, operation.variables = "", None
                await self._follow(operation.id, prepared)
            else:
                result = await schema.answer(document.prepared, operation.variables, operation.name, context)
                if result.data is None and all(error.path is None for error in result.errors or ()):
                    # Errors of the whole request: nothing was executed, so there is no result for a `next` message.
                    errors = result.errors or ()
                else:
                    payload = response(result.data, result.errors)
                    operation.facts.note_errors(payload.get("errors") or ())
                    await self._send(encode({"id": operation.id, "type": "next", "payload": payload}))
        except SocketClosed:
            return False
        except GraphQLError as error:
            errors = [show_error(error)]
        except OperationFailed as failed:
            errors = [show_error(error) for error in failed.errors]
        except Exception as error:  # noqa: BLE001 - an error of any kind is logged, and ends its operation alone
            errors = [internal_error(error)]
        if self._operations.get(operation.id, (None, None))[0] is operation:
            # Its id can be used again as soon as the client has the final message.
            del self._operations[operation.id]
        with suppress(SocketClosed):
            if errors:
                operation.facts.note_errors([error.formatted for error in errors])
                await self._send_errors(operation.id, errors)
            else:
                await self._send(encode({"id": operation.id, "type": "complete"}))
        return True

    async def _follow(self, id: str, operation: GraphQLOperation) -> None:
        prefix = b'{"id":%b,"type":"next","payload":' % encode(id)
        push = None if self._protocol is None else ResultWriter(self._protocol, prefix)
        sent_count = 0
        async with aclosing(follow(operation, push)) as results:
            async for result in results:
                await self._send(prefix, result, b"}")
                # Many sockets are silent for a long time, and each would keep its last result in memory.
                del result
                sent_count += 1
                if sent_count % RESULTS_AT_ONCE == 0:
                    await asyncio.sleep(0)

    async def _send_errors(self, id: str, errors: Sequence[GraphQLError]) -> None:
        formatted = [error.formatted for error in errors]
        await self._send(encode({"id": id, "type": "error", "payload": formatted}))

    async def _send(self, *parts: bytes) -> None:
        """Send a message; raise SocketClosed if the socket is closed or its client reads nothing."""
        if self._write(*parts):
            return
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                await self._socket.send_text(b"".join(parts).decode())
        except TimeoutError as error:
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._close(STALLED, "The client read nothing for too long")
            raise SocketClosed from error
        except (RuntimeError, WebSocketDisconnect) as error:
            raise SocketClosed from error

    async def _close_when_lapsed(self, admitted: Authenticated) -> None:
        await admitted.lapsed()
        await self._close(FORBIDDEN, "Forbidden")

    def _ping_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.ping_seconds, self._ping)

    def _ping(self) -> None:
        if self._write(PING):
            self._ping_later()
        else:
            self._start(self._ping_stalled())

    async def _ping_stalled(self) -> None:
        """Ping a client that does not read, which closes the socket if it does not read for too long."""
        with suppress(SocketClosed):
            await self._send(PING)
            self._ping_later()
