"""GraphQL over HTTP, as its specification requires (graphql.github.io/graphql-over-http/draft)."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import partial
from http import HTTPStatus
from typing import Any

from graphql import GraphQLError, OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from strawberry.fastapi import GraphQLRouter

from tertulia.json import encode
from tertulia.ratelimit.errors import RateLimited
from tertulia.resolvers.context import Context
from tertulia.schema.document_policy import CheckedDocument as AdmittedDocument
from tertulia.schema.document_policy import DocumentPolicy, needs_no_sign_in
from tertulia.schema.documents import BAD_USER_INPUT, bad_request, is_subscription
from tertulia.schema.failures import internal_error, storage_error
from tertulia.schema.graphql_internals import allows_origin
from tertulia.schema.results import response
from tertulia.schema.subscription_fast_path import OperationFailed, follow
from tertulia.server.auth.authenticator import Authenticated, Authenticator
from tertulia.server.auth.providers import Unauthenticated, Unavailable
from tertulia.server.http.graphql_request import (
    JSON_TYPE,
    GraphQLRequest,
    RequestRefused,
    check_content_type,
    check_request,
    decoded,
    query_parameters,
    read_body,
)
from tertulia.server.http.negotiation import preferred
from tertulia.server.http.operation_facts import OperationObserver, log_subscription, note_operation
from tertulia.server.http.problems import TRY_AGAIN, challenge, retry_after
from tertulia.server.http.streams import MULTIPART, MULTIPART_TYPE, SSE, SSE_TYPE, Framing, ResultStream
from tertulia.server.http.websocket import SocketEndpoint
from tertulia.server.request_facts import RequestFacts, bounded_name, facts_of
from tertulia.server.telemetry.operations import OperationMetrics
from tertulia.storage import is_storage_full

REQUEST_ERROR_STATUS = 400
"""For a document or variables that cannot be executed. The draft changes to 422, but its audits still require 400."""
RESPONSE_TYPE = "application/graphql-response+json"
METHODS = ("GET", "POST")
WRONG_METHOD = "The method must be POST or GET."


class GraphQLEndpoint(GraphQLRouter[Context, None]):
    """The GraphQL endpoint: POST and GET, the page for browsers, and the WebSocket."""

    def __init__(
        self,
        document_policy: DocumentPolicy,
        *,
        path: str,
        authenticator: Callable[[], Authenticator],
        page: Callable[[Request], Response],
        allowed_origins: Sequence[str] = (),
        connection_init_seconds: float = 10.0,
        operations: OperationMetrics,
    ) -> None:
        """Create the endpoint.

        Args:
            document_policy: Decides which documents are executed.
            path: The path of the endpoint.
            authenticator: Returns the authenticator of the running server.
            page: Returns the page for browsers.
            allowed_origins: The origins of other sites whose pages may open sockets.
            connection_init_seconds: Seconds within which a new socket must send `connection_init`.
            operations: The metrics of operations over sockets.
        """
        super().__init__(document_policy.schema, path, graphql_ide=None, allowed_origins=allowed_origins)
        sockets = SocketEndpoint(
            document_policy,
            authenticator,
            allows_origin=partial(allows_origin, self),
            init_seconds=connection_init_seconds,
            observer=OperationObserver(document_policy, operations),
        )
        # Without FastAPI's dependencies: they take time for each request, and their objects would stay in memory while
        # a socket is open.
        self.routes[:] = [Route(path, self._serve, methods=METHODS), WebSocketRoute(path, sockets)]
        self._authenticator = authenticator
        self._schema = document_policy.schema
        self.document_policy = document_policy
        self._page = page
        self.add_api_route(path, self._refuse_method, methods=["PUT", "PATCH", "DELETE", "OPTIONS"])

    async def _serve(self, request: Request) -> Response:
        """Serve one HTTP request."""
        # The metrics and the log name the route. Only FastAPI's own routes note themselves.
        request.scope["route"] = self.routes[0]
        accept = request.headers.get("accept")
        if request.method == "GET" and "query" not in request.query_params and wants_page(accept):
            # Without introspection, the page would be useless.
            return self._page(request) if not self.document_policy.closed else Response(status_code=404)
        media_type = preferred(accept, (JSON_TYPE, RESPONSE_TYPE))
        try:
            return await self._answer(request, self._authenticator(), media_type, _framing(accept))
        except RequestRefused as refused:
            body = {"errors": [refused.error.formatted]}
            return self._respond(request, body, refused.status, media_type, refused.headers)
        except (GraphQLError, OperationFailed) as error:
            errors = error.errors if isinstance(error, OperationFailed) else [error]
            return self._respond(request, response(None, errors), _status(media_type), media_type)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - for an error of any kind, the client gets a trace id and no detail
            if is_storage_full(error):
                full = storage_error(GraphQLError(""), error)
                return self._respond(request, {"errors": [full.formatted]}, 507, media_type)
            internal = internal_error(error)
            return self._respond(request, {"errors": [internal.formatted]}, 500, media_type)

    async def _answer(
        self, request: Request, authenticator: Authenticator, media_type: str | None, framing: Framing | None
    ) -> Response:
        if request.method == "HEAD":  # Starlette adds it to the methods of a route.
            raise RequestRefused(405, WRONG_METHOD, Allow=", ".join(METHODS))
        try:
            admitted = await _admit(request, authenticator)
        except RequestRefused as refused:
            if refused.status != HTTPStatus.UNAUTHORIZED or media_type is None:
                raise
            return await self._answer_anonymously(request, authenticator, media_type, refused)
        context = admitted.context
        if media_type is None and framing is None:
            raise RequestRefused(406, f"`Accept` must allow {RESPONSE_TYPE}, {JSON_TYPE} or {SSE_TYPE}.")
        parsed = await self._read(request)
        document = await self._check(request, parsed)
        followed = _is_followed(request.method, document, streams=framing is not None)
        # A client that accepts both gets queries as JSON; one that accepts only a stream gets a stream of one result.
        if framing is not None and (followed or media_type is None):
            results = self._results(document, parsed, context, facts_of(request.scope), followed=followed)
            if followed:
                results = await _with_slot(results, context)
            return ResultStream(results, framing, (context.services.closing.wait, admitted.lapsed))
        body = await self._execute(document, parsed, context)
        return self._respond(request, body, 200 if "data" in body else _status(media_type), media_type)

    async def _answer_anonymously(
        self, request: Request, authenticator: Authenticator, media_type: str, unauthenticated: RequestRefused
    ) -> Response:
        """Execute a query of shared conversations, which needs no sign-in.

        Raises:
            RequestRefused: The request is another one, so that it needs a sign-in, or there are too many requests.
        """
        # A client with a token that has expired needs the 401 to refresh it, and must not be limited by its address.
        if "authorization" in request.headers:
            raise unauthenticated
        try:
            context = await authenticator.admit_reader_of_shares(request)
        except RateLimited as limited:
            raise _too_many(limited) from None
        if context is None:
            raise unauthenticated
        try:
            parsed = await self._read(request, may_persist=False)
            document = await self._check(request, parsed)
        except (GraphQLError, OperationFailed, RequestRefused):
            raise unauthenticated from None
        if not needs_no_sign_in(document):
            raise unauthenticated
        body = await self._execute(document, parsed, context)
        return self._respond(request, body, 200 if "data" in body else _status(media_type), media_type)

    async def _read(self, request: Request, *, may_persist: bool = True) -> GraphQLRequest:
        """Read the parameters of a request; raise RequestRefused or GraphQLError, naming the invalid one.

        Without `may_persist`, the document is not stored among the persisted ones.
        """
        if request.method == "GET":
            parameters = check_request(query_parameters(request))
        else:
            check_content_type(request.headers)
            parameters = check_request(decoded("The body", await read_body(request)))
        try:
            query = self.document_policy.document(
                parameters.get("query"),
                parameters.get("extensions") if may_persist else None,
                parameters.get("documentId"),
            )
        except GraphQLError as error:
            if error.extensions == {"code": BAD_USER_INPUT}:
                raise RequestRefused(400, error.message) from None
            raise
        return GraphQLRequest(query, parameters.get("variables"), parameters.get("operationName") or None)

    async def _check(self, request: Request, parsed: GraphQLRequest) -> AdmittedDocument:
        """Check the document of a request, and note its operation for the log and the metrics."""
        facts = facts_of(request.scope)
        facts.operation = bounded_name(parsed.operation_name)
        document = await self.document_policy.admit(parsed.query, parsed.variables, parsed.operation_name)
        note_operation(facts, document, self.document_policy)
        return document

    async def _execute(self, document: AdmittedDocument, parsed: GraphQLRequest, context: Context) -> dict[str, Any]:
        result = await self._schema.answer(document.prepared, parsed.variables, parsed.operation_name, context)
        return response(result.data, result.errors)

    async def _results(
        self,
        document: AdmittedDocument,
        parsed: GraphQLRequest,
        context: Context,
        facts: RequestFacts,
        *,
        followed: bool,
    ) -> AsyncGenerator[bytes]:
        if not followed:
            body = await self._execute(document, parsed, context)
            facts.note_errors(body.get("errors") or ())
            yield encode(body)
            return
        log_subscription(facts)
        operation = self._schema.operation(document.prepared, parsed.variables, parsed.operation_name, context)
        try:
            async with aclosing(follow(operation)) as results:
                async for result in results:
                    yield result
        except OperationFailed as failed:
            body = response(None, failed.errors)
            facts.note_errors(body["errors"])
            yield encode(body)

    def _respond(
        self,
        request: Request,
        body: dict[str, Any],
        status: int,
        media_type: str | None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        facts_of(request.scope).note_errors(body.get("errors") or ())
        content_type = f"{media_type or JSON_TYPE}; charset=utf-8"
        return Response(encode(body), status, {**(headers or {}), "Content-Type": content_type})

    async def _refuse_method(self, request: Request) -> Response:
        error = GraphQLError(WRONG_METHOD, extensions={"code": BAD_USER_INPUT})
        return self._respond(request, {"errors": [error.formatted]}, 405, None, {"Allow": ", ".join(METHODS)})


def _is_followed(method: str, document: AdmittedDocument, *, streams: bool) -> bool:
    """Return whether a document is a subscription; raise if the method or `Accept` does not allow its operation."""
    operation = document.operation
    if method == "GET" and operation.operation is OperationType.MUTATION:
        raise RequestRefused(405, "Mutations must be sent with POST.", Allow="POST")
    is_followed = is_subscription(operation)
    if is_followed and not streams:
        raise bad_request(
            "Subscriptions need a WebSocket (graphql-transport-ws) at the same path, or an HTTP request with "
            f"`Accept: {SSE_TYPE}` or `Accept: {MULTIPART_TYPE}`."
        )
    return is_followed


async def _admit(request: Request, authenticator: Authenticator) -> Authenticated:
    try:
        admitted = await authenticator.admit(request)
        await admitted.context.limits.check_request(admitted.context.viewer.user_id)
    except Unauthenticated as error:
        raise RequestRefused(401, error.message, code="UNAUTHENTICATED", **challenge(error)) from None
    except Unavailable as unavailable:
        raise RequestRefused(503, str(unavailable), code="INTERNAL_SERVER_ERROR", **TRY_AGAIN) from None
    except RateLimited as limited:
        raise _too_many(limited) from None
    return admitted


def _too_many(limited: RateLimited) -> RequestRefused:
    return RequestRefused(429, limited.message, code="RATE_LIMITED", **retry_after(limited))


async def _with_slot(results: AsyncGenerator[bytes], context: Context) -> AsyncGenerator[bytes]:
    """Reserve one of the viewer's connection slots for a stream; raise RequestRefused if all are in use."""
    stack = AsyncExitStack()
    try:
        await stack.enter_async_context(context.limits.connection_slot(context.viewer.user_id))
    except RateLimited as limited:
        raise _too_many(limited) from None

    async def results_in_slot() -> AsyncGenerator[bytes]:
        async with stack, aclosing(results):
            async for result in results:
                yield result

    return results_in_slot()


def _framing(accept: str | None) -> Framing | None:
    """Return the framing of streams that the Accept header names; wildcards select none."""
    if accept is None:
        return None
    lowered = accept.lower()
    offered = [candidate for candidate in (SSE_TYPE, MULTIPART_TYPE) if candidate in lowered]
    media_type = preferred(accept, offered) if offered else None
    return {SSE_TYPE: SSE, MULTIPART_TYPE: MULTIPART}.get(media_type or "")


def wants_page(accept: str | None) -> bool:
    """Return whether the client is a browser: it names HTML explicitly, unlike programs that accept anything."""
    return "text/html" in (accept or "") and preferred(accept, ("text/html", JSON_TYPE, RESPONSE_TYPE)) == "text/html"


def _status(media_type: str | None) -> int:
    # For the older media type, the specification requires 200 for every well-formed GraphQL response.
    return 200 if media_type == JSON_TYPE else REQUEST_ERROR_STATUS
